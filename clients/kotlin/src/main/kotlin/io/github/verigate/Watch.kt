package io.github.verigate

import io.github.verigate.v1.GetVerificationRequest
import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.StatusUpdateKind
import io.github.verigate.v1.WatchStatusRequest
import kotlin.time.ComparableTimeMark
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.selects.onTimeout
import kotlinx.coroutines.selects.select
import kotlinx.coroutines.withContext

/** What is watched, and how the caller asked for it. */
internal class Wish(val id: String, val afterVersion: Long, val followRevisions: Boolean)

/** What a watch stands on. */
internal class Ground(val calls: Calls, val presence: Presence, val seams: Seams, val heartbeat: Duration)

/**
 * One collection of a watch, from the first call to the end:
 *
 *     stream ──ended, silent, drained──► rest ──► stream …
 *        │ three in a row without a message        ▲
 *        └──► poll ──► rest ──► poll … ─ in time ──┘
 *
 * It ends with a terminal message, or with an error that no other try heals. All
 * of it runs in the collector's coroutine; nothing that the collector throws is
 * caught here.
 */
internal class Watch(private val ground: Ground, private val wish: Wish, onLine: (Line) -> Unit) {
    private val calls = ground.calls
    private val presence = ground.presence
    private val clock = ground.seams.clock
    private val line = LineTeller(onLine)
    private val progress = Progress(wish.afterVersion, wish.followRevisions)
    private val pauses = Pauses(ground.seams.random)
    private val nudges = presence.enter()
    private var tokenWasRefused = false
    private var streamsUnheard = 0
    private var pollUntil: ComparableTimeMark? = null

    /** What follows an attempt. */
    private sealed interface Next {
        object Done : Next
        object AtOnce : Next
        class After(val pause: Duration, val reason: String) : Next
    }

    suspend fun run(deliver: suspend (StatusUpdate) -> Unit) {
        // The client may have been closed while the consumer took its time.
        val checked: suspend (StatusUpdate) -> Unit = {
            presence.check()
            deliver(it)
        }
        try {
            while (true) {
                // Taken before the attempt: a return during it makes it stale.
                val returns = presence.returns
                val polls = pollUntil?.hasPassedNow() == false
                when (val next = if (polls) poll(returns, checked) else stream(returns, checked)) {
                    Next.Done -> return
                    Next.AtOnce -> Unit
                    is Next.After -> rest(next, returns)
                }
            }
        } finally {
            presence.leave(nudges)
            line.tell(Line.Ended)
        }
    }

    private suspend fun stream(returns: Int, deliver: suspend (StatusUpdate) -> Unit): Next {
        line.tell(Line.Connecting)
        val stream = try {
            val headers = answerOrReturn(returns) { calls.headers(::patienceAtFirst) } ?: return Next.AtOnce
            calls.watch(watchRequest(), headers)
        } catch (failed: VerigateException) {
            return afterStream(failed, heard = false)
        }
        try {
            return read(stream, returns, deliver)
        } finally {
            withContext(NonCancellable) { stream.close() }
        }
    }

    private suspend fun read(stream: StatusStream, returns: Int, deliver: suspend (StatusUpdate) -> Unit): Next {
        val opened = clock.markNow()
        var heard = false
        while (true) {
            when (val event = stream.next(patience(heard), nudges)) {
                is StreamEvent.Message -> {
                    val again = heard
                    heard = true
                    take(event.update, opened, again, deliver)?.let { return it }
                }
                is StreamEvent.Ended -> return afterStream(event.failure ?: endedEarly(), heard)
                StreamEvent.Silence -> {
                    calls.renew(stream.wire)
                    return afterStream(unavailable("no message for three heartbeats"), heard)
                }
                StreamEvent.Nudge -> if (isStale(returns)) return Next.AtOnce
            }
        }
    }

    /** Handles one message, [again] one of the same stream; not null when the stream is to be left. */
    private suspend fun take(
        update: StatusUpdate,
        opened: ComparableTimeMark,
        again: Boolean,
        deliver: suspend (StatusUpdate) -> Unit,
    ): Next? {
        // A snapshot that is only repeated also comes from a gateway that then ends each stream.
        if (again || progress.isNewer(update)) noteGood()
        streamsUnheard = 0
        pollUntil = null
        line.tell(Line.Live)
        // Before the consumer takes its time.
        val lived = opened.elapsedNow()
        if (progress.isNews(update)) deliver(update)
        return when {
            progress.isOver(update) -> Next.Done
            update.kind == StatusUpdateKind.STATUS_UPDATE_KIND_DRAIN ->
                Next.After(pauses.afterDrain(asked(update), quick = lived < ground.heartbeat), "the gateway drains")
            else -> null
        }
    }

    private fun asked(drain: StatusUpdate): Duration = maxOf(drain.reconnectAfter.toKotlin(), Duration.ZERO)

    /** How long to wait for the next message; null while the app is in the background. */
    private fun patience(heard: Boolean): Duration? {
        val threeHeartbeats = ground.heartbeat * HEARTBEATS_MISSED
        return when {
            presence.isPaused -> null
            heard -> threeHeartbeats
            else -> minOf(FIRST_MESSAGE, threeHeartbeats)
        }
    }

    private fun patienceAtFirst(): Duration? = patience(heard = false)

    private fun afterStream(failed: VerigateException, heard: Boolean): Next {
        if (!heard && ++streamsUnheard >= STREAMS_BEFORE_POLLING) {
            val doublings = minOf(streamsUnheard - STREAMS_BEFORE_POLLING, MOST_DOUBLINGS)
            pollUntil = clock.markNow() + minOf(LONGEST_POLLING, ground.seams.firstPolling * (1 shl doublings))
        }
        return afterFailure(failed)
    }

    /** Throws what cannot be healed. */
    private fun afterFailure(failed: VerigateException): Next {
        // A closed client fails everything; nothing about that heals.
        presence.check()
        if (failed.code == VerigateException.UNAUTHENTICATED && calls.tokenRenews && !tokenWasRefused) {
            tokenWasRefused = true
            return Next.AtOnce
        }
        if (failed.isFinal) throw failed
        return Next.After(pauses.afterFailure(failed.askedPause), "${failed.code}: ${failed.message}")
    }

    private suspend fun poll(returns: Int, deliver: suspend (StatusUpdate) -> Unit): Next {
        line.tell(Line.Polling)
        val asked = clock.markNow()
        val verification = try {
            answerOrReturn(returns) { calls.get(pollRequest(), ::patienceAtFirst) } ?: return Next.AtOnce
        } catch (failed: VerigateException) {
            // The line is at fault and not streams, so the next attempt is one.
            streamsUnheard = minOf(streamsUnheard, STREAMS_BEFORE_POLLING)
            pollUntil = null
            return afterFailure(failed)
        }
        noteGood()
        val took = asked.elapsedNow()
        val update = verification.toStatusUpdate(first = !progress.hasBegun)
        val news = progress.isNews(update)
        if (news) deliver(update)
        return when {
            progress.isOver(update) -> Next.Done
            // A long poll that came back at once with nothing new was not held: never ask in a tight loop.
            !news && took < SHORTEST_POLL -> Next.After(SHORTEST_POLL - took, "nothing new")
            else -> Next.AtOnce
        }
    }

    /** What [ask] answers, or null when the app came back meanwhile. */
    private suspend fun <T : Any> answerOrReturn(returns: Int, ask: suspend () -> T): T? = coroutineScope {
        val answer = async { ask() }
        try {
            var got: T? = null
            while (got == null && !isStale(returns)) {
                got = select {
                    answer.onAwait { it }
                    nudges.onReceive { null }
                }
            }
            got
        } finally {
            answer.cancel()
        }
    }

    /** Waits, but not past the app's return. */
    @OptIn(ExperimentalCoroutinesApi::class)
    private suspend fun rest(next: Next.After, returns: Int) {
        line.tell(Line.Waiting(next.pause, next.reason))
        val until = clock.markNow() + next.pause
        while (!isStale(returns) && until.hasNotPassedNow()) {
            select<Unit> {
                nudges.onReceive { }
                onTimeout(-until.elapsedNow()) { }
            }
        }
    }

    /** Whether the app came back since [returns] was taken. Fails once the client is closed. */
    private fun isStale(returns: Int): Boolean {
        presence.check()
        return presence.returns != returns
    }

    private fun noteGood() {
        pauses.reset()
        tokenWasRefused = false
    }

    private fun watchRequest() = WatchStatusRequest.newBuilder()
        .setId(wish.id)
        .setAfterVersion(progress.version)
        .setFollowRevisions(wish.followRevisions)
        .build()

    private fun pollRequest() = GetVerificationRequest.newBuilder()
        .setId(wish.id)
        .setAfterVersion(progress.version)
        .setWait(patienceOfPoll().toProto())
        .build()

    /** How long the gateway may hold a poll: not past the time for a stream. */
    private fun patienceOfPoll(): Duration {
        val untilStream = pollUntil?.let { -it.elapsedNow() } ?: Duration.ZERO
        // The first is not held: the state may be terminal already, at a version that the caller has seen.
        return if (progress.hasBegun) untilStream.coerceIn(Duration.ZERO, LONGEST_POLL) else Duration.ZERO
    }

    private companion object {
        const val HEARTBEATS_MISSED = 3
        const val STREAMS_BEFORE_POLLING = 3
        val FIRST_MESSAGE = 10.seconds
        val LONGEST_POLL = 25.seconds
        val SHORTEST_POLL = 1.seconds
        val LONGEST_POLLING = 5.minutes
        const val MOST_DOUBLINGS = 10

        fun unavailable(what: String) = VerigateException("unavailable", what)
        fun endedEarly() = unavailable("the stream ended before the verification was over")
    }
}
