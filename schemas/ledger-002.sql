-- A strict key: what a translation between dialects would only warn of is refused (docs/dialects.md).
ALTER TABLE keys ADD COLUMN strict INTEGER NOT NULL DEFAULT 0;
