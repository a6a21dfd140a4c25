"""What a judge says of an answer: where it deviates from the documentation. A value."""

from attrs import frozen


@frozen
class Deviation:
    """`broken`: a promise is not kept. Otherwise there is more than was promised, which a careful reader survives."""

    text: str
    broken: bool = True
