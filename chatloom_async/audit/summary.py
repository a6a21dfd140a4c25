"""Counts rows one by one for the totals of a report. It keeps no row."""

from typing import Any

from attrs import define

from .values import Row


@define
class Summary:
    """Totals over rows: workspaces = ok + partial + failed, agents = read + unread + gone.

    An agent is read when its domains are known, gone when it vanished during the audit, unread otherwise.
    `hosts` counts the host names that the DNS was asked about, `unread_hosts` those of them that gave no answer.
    `interrupted` is True if the audit ended before every workspace had its row.
    """

    ok: int = 0
    partial: int = 0
    failed: int = 0
    read: int = 0
    unread: int = 0
    gone: int = 0
    domains: int = 0
    error: int = 0
    warning: int = 0
    info: int = 0
    requests: int = 0
    hosts: int = 0
    unread_hosts: int = 0
    interrupted: bool = False

    @property
    def workspaces(self) -> int:
        return self.ok + self.partial + self.failed

    @property
    def agents(self) -> int:
        return self.read + self.unread + self.gone

    @property
    def findings(self) -> int:
        return self.error + self.warning + self.info

    def add(self, row: Row) -> None:
        setattr(self, row.state, getattr(self, row.state) + 1)
        for finding in row.findings:
            setattr(self, finding.severity, getattr(self, finding.severity) + 1)
        without_domains = [audited for audited in row.agents if audited.domains is None]
        self.read += len(row.agents) - len(without_domains)
        if without_domains:
            gone = {finding.agent_id for finding in row.findings if finding.rule == "agent-gone"}
            lost = sum(row.state == "ok" or audited.agent.id in gone for audited in without_domains)
            self.gone += lost  # in an ok row all, even if the finding about it is muted
            self.unread += len(without_domains) - lost
        self.domains += row.domain_count
        self.requests += row.requests
        if row.dns:
            self.hosts += row.dns.asked
            self.unread_hosts += len(row.dns.unread)

    def document(self) -> dict[str, Any]:
        """The totals as JSON types. `dns` is present only if the DNS was queried."""
        dns = {"dns": {"asked": self.hosts, "unread": self.unread_hosts}} if self.hosts else {}
        return {
            "workspaces": {"total": self.workspaces, "ok": self.ok, "partial": self.partial, "failed": self.failed},
            "agents": {"total": self.agents, "read": self.read, "unread": self.unread, "gone": self.gone},
            "domains": self.domains,
            "findings": {"total": self.findings, "error": self.error, "warning": self.warning, "info": self.info},
            "requests": self.requests,
            **dns,
            "interrupted": self.interrupted,
        }
