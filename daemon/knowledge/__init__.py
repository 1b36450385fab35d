"""The knowledge of an instance: its files, searched for passages that bear on a question.

`readers` turns a file into sections and `chunks` cuts these into pieces; both run in the command line's process.
`library` stores the pieces in Postgres, `embeddings` fetches vectors for texts, `housekeeping` deletes what is old. The
search itself is a lookup: `daemon/lookups/knowledge.py`.

May import the ledger's spelling of texts, the breaker of `daemon/responders`, the stores and the HTTP client.
"""
