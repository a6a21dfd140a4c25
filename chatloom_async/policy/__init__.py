"""When requests are sent and retried: keys, rate limits, deadlines, retries. Clock and randomness are injected."""
