-- Knowledge: the files of instances, their chunks, and vectors of texts.
--
-- Vectors need the extension `vector` (pgvector). Without it everything works with words alone. The columns of type vector
-- are created by majlis_enable_vectors(), here and whenever a file is added: if the extension is installed later, the next
-- `majlis knowledge add` adds vectors.
--
-- There is no index on vectors: their dimension depends on the model, and an instance has at most some thousand chunks,
-- which are found by the index on `instance` and then compared exactly.

CREATE TABLE IF NOT EXISTS majlis_knowledge_files (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance   text NOT NULL,
    name       text NOT NULL,
    sha256     text NOT NULL,
    bytes      bigint NOT NULL,
    chunks     integer NOT NULL DEFAULT 0,
    model      text NOT NULL DEFAULT '',
    state      text NOT NULL DEFAULT 'loading' CHECK (state IN ('loading', 'ready')),
    created_at timestamptz NOT NULL DEFAULT now(),
    touched_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS majlis_knowledge_files_ready_idx
    ON majlis_knowledge_files (instance, name) WHERE state = 'ready';
CREATE INDEX IF NOT EXISTS majlis_knowledge_files_loading_idx
    ON majlis_knowledge_files (touched_at) WHERE state = 'loading';

-- `search` has the words in the normal form of actors/text.py; `model` is the model of the vector ('': none).
CREATE TABLE IF NOT EXISTS majlis_knowledge_chunks (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_id  bigint NOT NULL REFERENCES majlis_knowledge_files (id) ON DELETE CASCADE,
    instance text NOT NULL,
    ordinal  integer NOT NULL,
    heading  text NOT NULL DEFAULT '',
    text     text NOT NULL,
    search   tsvector NOT NULL,
    model    text NOT NULL DEFAULT '',
    UNIQUE (file_id, ordinal)
);
CREATE INDEX IF NOT EXISTS majlis_knowledge_chunks_instance_idx ON majlis_knowledge_chunks (instance);
CREATE INDEX IF NOT EXISTS majlis_knowledge_chunks_search_idx ON majlis_knowledge_chunks USING gin (search);

-- For the settings of an instance: how many files it has, and a number that grows with every change.
CREATE TABLE IF NOT EXISTS majlis_knowledge_versions (
    instance text PRIMARY KEY,
    version  bigint NOT NULL,
    files    integer NOT NULL
);

-- Vectors of texts, cached for a day and shared by all instances. The texts themselves are not stored, only hashes.
CREATE TABLE IF NOT EXISTS majlis_embeddings (
    model      text NOT NULL,
    text_hash  text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, text_hash)
);
CREATE INDEX IF NOT EXISTS majlis_embeddings_created_idx ON majlis_embeddings (created_at);

-- Whether vectors can be stored and compared.
CREATE OR REPLACE FUNCTION majlis_has_vectors() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('majlis_embeddings')
                     AND attname = 'embedding' AND NOT attisdropped)
$$;

-- Create the columns for vectors if the server supports them; returns whether they exist. Idempotent, and without an error
-- if it is not permitted: everything else works without.
CREATE OR REPLACE FUNCTION majlis_enable_vectors() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_table text;
BEGIN
    IF to_regtype('vector') IS NULL THEN
        IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
            RETURN false;
        END IF;
        CREATE EXTENSION IF NOT EXISTS vector;
        IF to_regtype('vector') IS NULL THEN  -- installed in a schema outside our search path
            RETURN false;
        END IF;
    END IF;
    FOREACH v_table IN ARRAY ARRAY['majlis_knowledge_chunks', 'majlis_answer_cache', 'majlis_embeddings'] LOOP
        IF to_regclass(v_table) IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = to_regclass(v_table) AND attname = 'embedding' AND NOT attisdropped
        ) THEN
            EXECUTE format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS embedding vector', v_table);
        END IF;
    END LOOP;
    RETURN true;
EXCEPTION
    WHEN insufficient_privilege THEN
        RETURN majlis_has_vectors();
END $$;

SELECT majlis_enable_vectors();

-- Vectors

CREATE OR REPLACE FUNCTION majlis_keep_embedding(p_model text, p_text_hash text, p_embedding text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO majlis_embeddings (model, text_hash, embedding) VALUES (p_model, p_text_hash, p_embedding::vector)
    ON CONFLICT (model, text_hash) DO UPDATE SET embedding = excluded.embedding, created_at = now();
END $$;

-- The cached vector of a text, at most `p_seconds` old; NULL if there is none.
CREATE OR REPLACE FUNCTION majlis_kept_embedding(p_model text, p_text_hash text, p_seconds double precision)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT embedding::text FROM majlis_embeddings
            WHERE model = p_model AND text_hash = p_text_hash
              AND created_at > now() - make_interval(secs => p_seconds));
END $$;

-- The similarity of two vectors, 0 to 1; 0 if one is missing or their dimensions differ.
CREATE OR REPLACE FUNCTION majlis_similarity(p_distance double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_distance IS NULL OR p_distance = 'NaN' THEN 0
                ELSE least(1.0, greatest(0.0, 1.0 - p_distance)) END
$$;

-- Adding a file: begin, put as often as needed, commit. Before the commit it is not found.

CREATE OR REPLACE FUNCTION majlis_knowledge_begin(
    p_instance text, p_name text, p_sha256 text, p_bytes bigint, p_model text)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_model text := CASE WHEN p_model <> '' AND majlis_enable_vectors() THEN p_model ELSE '' END;
    v_file majlis_knowledge_files;
BEGIN
    IF NOT EXISTS (SELECT FROM whatsapp_instances WHERE instance_name = p_instance) THEN
        RETURN jsonb_build_object('state', 'unknown_instance');
    END IF;
    SELECT * INTO v_file FROM majlis_knowledge_files
    WHERE instance = p_instance AND name = p_name AND state = 'ready';
    IF v_file.sha256 = p_sha256 AND v_file.model = v_model THEN
        RETURN jsonb_build_object('state', 'unchanged', 'file', v_file.id, 'chunks', v_file.chunks);
    END IF;
    INSERT INTO majlis_knowledge_files (instance, name, sha256, bytes, model)
    VALUES (p_instance, p_name, p_sha256, p_bytes, v_model) RETURNING * INTO v_file;
    RETURN jsonb_build_object('state', 'loading', 'file', v_file.id, 'model', v_model);
END $$;

-- Which of these texts have no vector yet.
CREATE OR REPLACE FUNCTION majlis_embeddings_missing(p_model text, p_hashes text[], p_seconds double precision)
RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT h FROM unnest(p_hashes) h
    WHERE NOT EXISTS (SELECT FROM majlis_embeddings e WHERE e.model = p_model AND e.text_hash = h
                        AND e.created_at > now() - make_interval(secs => p_seconds))
$$;

-- Stores chunks, once. Returns `stored`, `gone` (the load was abandoned) or `full`.
CREATE OR REPLACE FUNCTION majlis_knowledge_put(
    p_instance text, p_file bigint, p_chunks jsonb, p_vectors jsonb, p_max_chunks integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_model text;
BEGIN
    UPDATE majlis_knowledge_files SET touched_at = now()
    WHERE id = p_file AND instance = p_instance AND state = 'loading' RETURNING model INTO v_model;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    IF (SELECT count(*) FROM majlis_knowledge_chunks WHERE instance = p_instance)
        + jsonb_array_length(p_chunks) > p_max_chunks THEN
        RETURN 'full';
    END IF;
    INSERT INTO majlis_knowledge_chunks (file_id, instance, ordinal, heading, text, search)
    SELECT p_file, p_instance, (c ->> 'ordinal')::integer, c ->> 'heading', c ->> 'text',
           array_to_tsvector(ARRAY(SELECT jsonb_array_elements_text(c -> 'words')))
    FROM jsonb_array_elements(p_chunks) c
    ON CONFLICT (file_id, ordinal) DO NOTHING;
    IF v_model <> '' THEN
        PERFORM majlis_keep_embedding(v_model, v.key, v.value) FROM jsonb_each_text(p_vectors) v ORDER BY v.key;
        UPDATE majlis_knowledge_chunks k SET embedding = e.embedding, model = v_model
        FROM jsonb_array_elements(p_chunks) c
        JOIN majlis_embeddings e ON e.model = v_model AND e.text_hash = c ->> 'text_hash'
        WHERE k.file_id = p_file AND k.ordinal = (c ->> 'ordinal')::integer;
    END IF;
    RETURN 'stored';
END $$;

-- From now on the file is found, instead of the previous one of the same name. Idempotent.
CREATE OR REPLACE FUNCTION majlis_knowledge_commit(p_instance text, p_file bigint, p_chunks integer) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_file majlis_knowledge_files;
    v_replaced boolean;
BEGIN
    PERFORM majlis_knowledge_lock(p_instance);
    SELECT * INTO v_file FROM majlis_knowledge_files WHERE id = p_file AND instance = p_instance FOR UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('state', 'gone');
    ELSIF v_file.state = 'ready' THEN
        RETURN jsonb_build_object('state', 'ready', 'replaced', false, 'chunks', v_file.chunks);
    ELSIF (SELECT count(*) FROM majlis_knowledge_chunks WHERE file_id = p_file) <> p_chunks THEN
        RETURN jsonb_build_object('state', 'incomplete');
    END IF;
    DELETE FROM majlis_knowledge_files WHERE instance = p_instance AND name = v_file.name AND state = 'ready';
    v_replaced := FOUND;
    UPDATE majlis_knowledge_files SET state = 'ready', chunks = p_chunks, touched_at = now() WHERE id = p_file;
    PERFORM majlis_knowledge_changed(p_instance);
    RETURN jsonb_build_object('state', 'ready', 'replaced', v_replaced, 'chunks', p_chunks);
END $$;

-- Delete files; returns the names of those that existed.
CREATE OR REPLACE FUNCTION majlis_knowledge_remove(p_instance text, p_names text[]) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_removed text[];
BEGIN
    PERFORM majlis_knowledge_lock(p_instance);
    WITH gone AS (
        DELETE FROM majlis_knowledge_files
        WHERE instance = p_instance AND name = ANY (p_names) AND state = 'ready' RETURNING name
    )
    SELECT coalesce(array_agg(name ORDER BY name), '{}') INTO v_removed FROM gone;
    IF v_removed <> '{}' THEN
        PERFORM majlis_knowledge_changed(p_instance);
    END IF;
    RETURN v_removed;
END $$;

-- One change of an instance's files at a time.
CREATE OR REPLACE FUNCTION majlis_knowledge_lock(p_instance text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('majlis knowledge ' || p_instance, 0))
$$;

CREATE OR REPLACE FUNCTION majlis_knowledge_changed(p_instance text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO majlis_knowledge_versions AS v (instance, version, files)
    VALUES (p_instance, 1, (SELECT count(*) FROM majlis_knowledge_files
                            WHERE instance = p_instance AND state = 'ready'))
    ON CONFLICT (instance) DO UPDATE SET version = v.version + 1, files = excluded.files
$$;

-- Searching

-- How much of the question each chunk contains: the weight of the words found in it, as a share of the weight of all words.
-- A word in n chunks of the instance weighs 1 / (1 + ln n), because frequent words say little. A word in no chunk weighs a
-- quarter: that part of the question is not about these files counts, but not much.
CREATE OR REPLACE FUNCTION majlis_knowledge_words(p_instance text, p_words text[])
RETURNS TABLE (chunk_id bigint, share double precision) LANGUAGE sql STABLE AS $$
    WITH words AS MATERIALIZED (
        SELECT DISTINCT w AS word, quote_literal(w)::tsquery AS query FROM unnest(p_words) w
    ), met AS MATERIALIZED (
        SELECT c.id, w.word
        FROM majlis_knowledge_chunks c
        JOIN majlis_knowledge_files f ON f.id = c.file_id AND f.state = 'ready'
        JOIN words w ON c.search @@ w.query
        WHERE c.instance = p_instance
          AND c.search @@ (SELECT string_agg(query::text, ' | ')::tsquery FROM words)
    ), weights AS MATERIALIZED (
        SELECT w.word, CASE WHEN count(m.id) = 0 THEN 0.25 ELSE 1 / (1 + ln(count(m.id))) END AS weight
        FROM words w LEFT JOIN met m ON m.word = w.word GROUP BY w.word
    )
    SELECT m.id, least(1.0, sum(w.weight) / (SELECT sum(weight) FROM weights))::double precision
    FROM met m JOIN weights w ON w.word = m.word GROUP BY m.id
$$;

-- The passages of an instance that bear on a question, the best first. Words and meaning both count, because either may
-- find what the other misses: relevance = 1 - (1 - share of words) * (1 - cosine similarity).
-- `wants_vector`: the question's vector would help and is not cached; pass it in `p_embedding` for a better result.
CREATE OR REPLACE FUNCTION majlis_knowledge_search(
    p_instance text, p_words text[], p_threshold double precision, p_max_passages integer,
    p_model text, p_text_hash text, p_embedding text, p_vector_seconds double precision)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_embedding text;
    v_wants boolean := false;
    v_passages jsonb;
BEGIN
    IF p_model <> '' AND majlis_has_vectors() AND EXISTS (
        SELECT FROM majlis_knowledge_files WHERE instance = p_instance AND state = 'ready' AND model = p_model
    ) THEN
        IF p_embedding IS NULL THEN
            v_embedding := majlis_kept_embedding(p_model, p_text_hash, p_vector_seconds);
            v_wants := v_embedding IS NULL;
        ELSE
            PERFORM majlis_keep_embedding(p_model, p_text_hash, p_embedding);
            v_embedding := p_embedding;
        END IF;
    END IF;
    IF v_embedding IS NULL THEN
        WITH best AS (
            SELECT chunk_id AS id, share AS relevance FROM majlis_knowledge_words(p_instance, p_words)
            WHERE share >= p_threshold ORDER BY share DESC, chunk_id LIMIT p_max_passages
        )
        SELECT jsonb_agg(jsonb_build_object('source', f.name, 'heading', c.heading, 'text', c.text,
                                            'relevance', b.relevance) ORDER BY b.relevance DESC, b.id)
        INTO v_passages
        FROM best b
        JOIN majlis_knowledge_chunks c ON c.id = b.id
        JOIN majlis_knowledge_files f ON f.id = c.file_id;
    ELSE
        WITH asked AS MATERIALIZED (  -- read once, not once for each chunk
            SELECT v_embedding::vector AS embedding
        ), shares AS MATERIALIZED (
            SELECT chunk_id, share FROM majlis_knowledge_words(p_instance, p_words)
        ), likenesses AS MATERIALIZED (
            SELECT c.id, majlis_similarity(CASE WHEN vector_dims(c.embedding) = vector_dims(a.embedding)
                                                THEN c.embedding <=> a.embedding END) AS similarity
            FROM majlis_knowledge_chunks c
            JOIN majlis_knowledge_files f ON f.id = c.file_id AND f.state = 'ready'
            CROSS JOIN asked a
            WHERE c.instance = p_instance AND c.model = p_model
        ), best AS (
            SELECT coalesce(l.id, w.chunk_id) AS id,
                   1 - (1 - coalesce(w.share, 0)) * (1 - coalesce(l.similarity, 0)) AS relevance
            FROM likenesses l FULL JOIN shares w ON w.chunk_id = l.id
            ORDER BY relevance DESC, id LIMIT p_max_passages
        )
        SELECT jsonb_agg(jsonb_build_object('source', f.name, 'heading', c.heading, 'text', c.text,
                                            'relevance', b.relevance) ORDER BY b.relevance DESC, b.id)
        INTO v_passages
        FROM best b
        JOIN majlis_knowledge_chunks c ON c.id = b.id
        JOIN majlis_knowledge_files f ON f.id = c.file_id
        WHERE b.relevance >= p_threshold;
    END IF;
    RETURN jsonb_build_object('wants_vector', v_wants, 'passages', coalesce(v_passages, '[]'));
END $$;
