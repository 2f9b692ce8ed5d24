package io.github.verigate

import kotlin.time.Duration

/**
 * How the line of one watch is, for a user interface. A change is told once,
 * before whatever follows from it.
 */
public sealed interface Line {
    /** A stream is being opened. */
    public object Connecting : Line {
        override fun toString(): String = "Connecting"
    }

    /** A message came on the open stream. */
    public object Live : Line {
        override fun toString(): String = "Live"
    }

    /** Streams do not get through; the state is asked for instead, with long polls. */
    public object Polling : Line {
        override fun toString(): String = "Polling"
    }

    /**
     * Nothing is open; the next try comes in [retryIn].
     *
     * @property reason a few words for a log or for a developer, never a secret.
     */
    public data class Waiting(val retryIn: Duration, val reason: String) : Line

    /** The watch is over: done, failed or cancelled. */
    public object Ended : Line {
        override fun toString(): String = "Ended"
    }
}

/** Tells each change of the line once. */
internal class LineTeller(private val onLine: (Line) -> Unit) {
    private var told: Line? = null

    fun tell(line: Line) {
        if (line == told && line !is Line.Waiting) return
        told = line
        onLine(line)
    }
}
