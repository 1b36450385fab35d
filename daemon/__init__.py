"""Majlis acts here: HTTP, Redis, Postgres, providers, gateways, admin, process life."""
