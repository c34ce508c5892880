"""pydantic-settings: a health check writes into the settings it was given.

Values are in the `__dict__` of the model; with `validate_assignment` pydantic replaces the whole `__dict__`.
"""
# needs: pydantic-settings
# run: __main__:Settings
# wrong: /database/pool_size 20 -> 1

import os

os.environ.update(SHOP_DATABASE__POOL_SIZE="20", SHOP_DATABASE__HOST="db1", SHOP_DEBUG="false")

from pydantic import BaseModel, ConfigDict, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class Database(BaseModel):
    model_config = ConfigDict(validate_assignment=True)
    host: str = "localhost"
    pool_size: PositiveInt = 5


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_", env_nested_delimiter="__", validate_assignment=True)
    debug: bool = True
    database: Database = Database()
    retries: dict[str, int] = {"mail": 3}


def health_check(database: Database) -> str:
    """Try one connection, and leave the pool as small as that."""
    database.pool_size = "1"  # culprit
    return f"connected to {database.host}"


settings = Settings()
# edit: from pydatatracker import watch; watch(settings)
settings.retries["sms"] = 5
settings.debug = "no"
print(health_check(settings.database))
print(settings.model_dump_json())
print(sorted(settings.model_fields_set), sorted(settings.database.model_fields_set))
if settings.database.pool_size < 10:
    raise RuntimeError(f"the pool has {settings.database.pool_size} connections")
