package io.github.verigate

import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.StatusUpdateKind
import io.github.verigate.v1.Verification
import io.github.verigate.v1.VerificationResult

/** How far a watch has come, and what is news to its consumer. */
internal class Progress(afterVersion: Long, private val followRevisions: Boolean) {
    /** The last version seen: where the next stream goes on. */
    var version: Long = afterVersion
        private set

    /** Whether the gateway has said anything yet. */
    var hasBegun: Boolean = false
        private set

    /** Whether this message tells of a version that was not seen. Ask before [isNews], which takes it in. */
    fun isNewer(update: StatusUpdate): Boolean = update.version > version

    /**
     * Takes a message in and says whether it is news. Heartbeats, drains and
     * repeated snapshots are not, by their version. A terminal state is, even
     * when the caller has seen its version: without it the watch could not end.
     */
    fun isNews(update: StatusUpdate): Boolean {
        val first = !hasBegun
        hasBegun = true
        val news = isNewer(update) || (update.terminal && (first || !followRevisions))
        version = maxOf(version, update.version)
        return news
    }

    /** Whether nothing can follow this message. */
    fun isOver(update: StatusUpdate): Boolean = update.terminal && !followRevisions
}

/** What a stream would have said about a verification that was asked for. */
internal fun Verification.toStatusUpdate(first: Boolean): StatusUpdate = StatusUpdate.newBuilder()
    .setKind(if (first) StatusUpdateKind.STATUS_UPDATE_KIND_SNAPSHOT else StatusUpdateKind.STATUS_UPDATE_KIND_UPDATE)
    .setVerificationId(id)
    // By number: a value that this library does not know has no name to set.
    .setStateValue(stateValue)
    .setResultValue(resultValue)
    .setVersion(version)
    .addAllReasonCodes(reasonCodesList)
    .setUpdateTime(updateTime)
    // By the result, which has no values to come, unlike the state.
    .setTerminal(result == VerificationResult.VERIFICATION_RESULT_PASS || result == VerificationResult.VERIFICATION_RESULT_FAIL)
    .build()
