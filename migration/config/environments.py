"""Where a verb acts, and who calls the functions there: the sections `environments` and `auth`."""

from migration.config.fields import Address, Count, Duration, Hidden, ProjectRef, Section


class User(Section):
    email: Hidden
    password: Hidden


class Auth(Section):
    anon_key: Hidden | None = None
    user: User | None = None


class LogSettings(Section):
    """How the hosted logs may be asked: `per_minute` queries at most, 0 for no limit; `patience` in seconds."""

    per_minute: Count = 8
    patience: Duration = 180.0


class EnvironmentSettings(Section):
    project_ref: ProjectRef | None = None
    api_url: Address = "https://api.supabase.com"
    url: Address | None = None
    access_token: Hidden | None = None
    confirm: bool = False
    auth: Auth | None = None
    logs: LogSettings = LogSettings()
    embedded: bool = False

    def __post_init__(self) -> None:
        if not self.embedded and self.url is None:
            raise ValueError("needs a url (or embedded: true for the sandbox)")
