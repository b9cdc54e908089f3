"""Operational database: registered draws and the audit log. SQLAlchemy Core and Alembic, on SQLite or PostgreSQL; no HTTP, no files of a draw."""
