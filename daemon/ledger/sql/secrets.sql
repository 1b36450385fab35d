-- read --
-- $1: limit.
SELECT instance, key, sealed, key_id, set_at, majlis_bucket('instance:' || instance) AS bucket
FROM majlis_secrets ORDER BY instance, key LIMIT $1

-- read_buckets --
-- The same of the scopes in the buckets $2.
SELECT instance, key, sealed, key_id, set_at, majlis_bucket('instance:' || instance) AS bucket
FROM majlis_secrets WHERE majlis_bucket('instance:' || instance) = ANY ($2::integer[]) ORDER BY instance, key LIMIT $1

-- sealed_otherwise --
-- What the key $1 did not seal. $2: limit, $3: how many are left out, of the first ones.
SELECT instance, key, sealed, key_id, set_at FROM majlis_secrets WHERE key_id <> $1 ORDER BY instance, key LIMIT $2 OFFSET $3

-- count --
-- How many each key seals.
SELECT key_id, count(*) AS secrets FROM majlis_secrets GROUP BY key_id ORDER BY key_id

-- reseal --
-- The same secret under another key; false: it was changed in between. $3: as it was.
UPDATE majlis_secrets SET sealed = $4, key_id = $5 WHERE instance = $1 AND key = $2 AND sealed = $3 RETURNING true

-- seal_clear --
-- The sealed value in place of the one that SQL wrote in clear; false: that is not there any more. $3: a digest of it.
SELECT majlis_seal_clear($1, $2, $3, $4, $5)
