-- name: AuditEntryInsert :exec
INSERT INTO audit_entry (
    id, project, environment, create_time, actor, address, action, target, details, request_id
) VALUES (
    @id, @project, @environment, @create_time, @actor, @address, @action, @target, @details, @request_id
);

-- name: AuditEntryList :many
-- Entries of a scope and of the whole gateway. Each part stops at a page, so
-- that the price does not grow with the log.
SELECT e.* FROM (
    (SELECT a.* FROM audit_entry a
     WHERE a.project = @project AND a.environment = @environment
       AND a.id < @id_before::uuid
       AND (@action::text = '' OR a.action = @action::text)
       AND (@target::text = '' OR a.target = @target::text)
     ORDER BY a.id DESC LIMIT @row_limit)
    UNION ALL
    (SELECT a.* FROM audit_entry a
     WHERE a.project = '' AND a.environment = '' AND @project <> ''
       AND a.id < @id_before::uuid
       AND (@action::text = '' OR a.action = @action::text)
       AND (@target::text = '' OR a.target = @target::text)
     ORDER BY a.id DESC LIMIT @row_limit)
) e
ORDER BY e.id DESC
LIMIT @row_limit;
