"""What is wrong with a config. Apart, so that how configs are read decides about no job."""

__all__ = ["ConfigError"]


class ConfigError(ValueError):
    """The config asks for something impossible; the message says where and how to mend it."""
