package io.github.verigate

import java.util.concurrent.CopyOnWriteArraySet
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.SendChannel

/** Whether the app is there, and a nudge for every open watch when that changes. */
internal class Presence {
    private val watches = CopyOnWriteArraySet<SendChannel<Unit>>()
    private val returned = AtomicInteger()

    /** In the background: silence says nothing. */
    @Volatile
    var isPaused: Boolean = false
        private set

    @Volatile
    private var isClosed = false

    /** Grows with each return to the foreground: what was opened before is stale. */
    val returns: Int get() = returned.get()

    /** A nudge channel for one watch; give it back to [leave]. */
    fun enter(): Channel<Unit> = Channel<Unit>(Channel.CONFLATED).also { watches += it }

    fun leave(nudges: Channel<Unit>) {
        watches -= nudges
    }

    fun pause() {
        isPaused = true
        nudge()
    }

    fun resume() {
        isPaused = false
        returned.incrementAndGet()
        nudge()
    }

    fun close() {
        isClosed = true
        nudge()
    }

    /** Fails with `canceled` once the client is closed. */
    fun check() {
        if (isClosed) throw VerigateException("canceled", "the VerigateClient was closed")
    }

    private fun nudge() = watches.forEach { it.trySend(Unit) }
}
