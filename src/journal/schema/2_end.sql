-- Format 2, when every attempt has moved to its new table.
DROP VIEW attempts_in_words;
DROP TABLE attempts;
DROP TABLE names;
DROP TABLE rules;
ALTER TABLE attempts_2 RENAME TO attempts;

-- For people who open the file: the attempts with series, patterns and times in words.
CREATE VIEW attempts_in_words AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%fZ', a.first_ms / 1000.0, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.last_ms / 1000.0, 'unixepoch') AS last,
    nullif(a.client, '') AS client,
    nullif(a.device, '') AS device,
    s.site AS site,
    nullif(a.name, '') AS qname,
    nullif(a.qtype, -1) AS qtype,
    s.ban AS ban,
    s.category AS category,
    s.evidence AS evidence,
    CASE typeof(a.pattern) WHEN 'integer' THEN substr(a.name, -a.pattern) ELSE nullif(a.pattern, '') END AS pattern,
    s.action AS action,
    nullif(s.transport, '') AS transport,
    s.verified AS verified,
    a.count AS count
FROM attempts AS a
JOIN series AS s ON s.id = a.series;
