package io.github.verigate

import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

/** What tests replace: chance, time, and how long a watch polls before it tries a stream again. */
internal class Seams(
    /** From 0 up to, but not including, 1. */
    val random: () -> Double = Random.Default::nextDouble,
    val clock: TimeSource.WithComparableMarks = TimeSource.Monotonic,
    /** For the first time; twice as long each time that a stream fails again. */
    val firstPolling: Duration = 5.seconds,
)
