package io.github.verigate

import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** How long a watch waits before its next try. */
internal class Pauses(private val random: () -> Double) {
    private var failures = 0
    private var quickDrains = 0

    /** The line is good: there was news, or a stream lasted. That a connection came about says nothing. */
    fun reset() {
        failures = 0
    }

    /** The pause after a failure: full jitter on top of what the gateway asked for. */
    fun afterFailure(asked: Duration): Duration = asked + jitter(failures++)

    /**
     * The pause after a drain: what the drain says. One quick drain after the
     * other comes from a node that is on its way out; then the pause grows too.
     */
    fun afterDrain(asked: Duration, quick: Boolean): Duration {
        if (!quick) {
            quickDrains = 0
            return asked
        }
        val again = quickDrains++
        return if (again == 0) asked else asked + jitter(again)
    }

    // Full jitter: anything from nothing to the whole, so that clients that lost
    // the same node do not come back together.
    private fun jitter(tries: Int): Duration =
        minOf(LONGEST, FIRST * (1 shl minOf(tries, LAST_DOUBLING))) * random()

    private companion object {
        val FIRST = 250.milliseconds
        val LONGEST = 30.seconds
        const val LAST_DOUBLING = 7
    }
}
