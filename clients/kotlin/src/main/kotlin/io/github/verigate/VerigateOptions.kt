package io.github.verigate

import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import okhttp3.HttpUrl.Companion.toHttpUrlOrNull
import okhttp3.OkHttpClient

/**
 * Options of a [VerigateClient].
 *
 * @property heartbeat the time between the heartbeats of a stream, as the gateway's
 *   `watch.heartbeat` has it; 15 s unless given. After three without a message a
 *   stream counts as dead.
 * @property okHttpClient the app's own client, with its interceptors, certificate
 *   pins, proxy and TLS settings. Both clients that the library uses are derived
 *   from it, with threads, connections and time limits of their own. An interceptor
 *   that reads whole bodies would hold a stream up.
 */
public class VerigateOptions(
    public val heartbeat: Duration = 15.seconds,
    public val okHttpClient: OkHttpClient? = null,
)

private val SHORTEST_HEARTBEAT = 100.milliseconds
private val LONGEST_HEARTBEAT = 5.minutes

/** Fails with `invalid_argument` that names the wrong option. */
internal fun checkOptions(baseUrl: String, options: VerigateOptions) {
    val url = baseUrl.toHttpUrlOrNull()
    if (url == null || url.query != null || url.fragment != null || url.username.isNotEmpty() || url.password.isNotEmpty()) {
        throw wrong(
            "baseUrl",
            "give an absolute http or https URL without user, query or fragment, such as \"https://verify.example.com\"",
        )
    }
    if (options.heartbeat !in SHORTEST_HEARTBEAT..LONGEST_HEARTBEAT) {
        throw wrong("heartbeat", "give $SHORTEST_HEARTBEAT to $LONGEST_HEARTBEAT, as the gateway's watch.heartbeat has it")
    }
}

/** Fails with `invalid_argument` unless a header can carry the token. The token is not repeated. */
internal fun checkToken(token: String) {
    tokenProblem(token)?.let { throw wrong("token", it) }
}

/** What is wrong with a token, or null. */
internal fun tokenProblem(token: String): String? = when {
    token.isEmpty() -> "it must not be empty"
    token.any { it !in '\u0021'..'\u007e' } -> "it has spaces, line ends or letters that no header can carry"
    else -> null
}

private fun wrong(option: String, remedy: String) =
    VerigateException("invalid_argument", "VerigateClient: $option: $remedy")
