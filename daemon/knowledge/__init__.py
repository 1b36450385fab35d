"""What an instance's files say, told to the responder where it bears on the question.

`readers` turns a file into sections and `chunks` these into pieces, both in the command line's process; `library` keeps
them in Postgres, `embeddings` gives texts their vectors, `housekeeping` forgets what is old. Searching is a lookup:
`daemon/lookups/knowledge.py`.
"""
