"""Users: accounts, their passwords and roles, sessions, and the tokens all contexts trust."""
