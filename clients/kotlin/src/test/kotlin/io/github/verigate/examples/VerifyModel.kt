package io.github.verigate.examples

import io.github.verigate.Line
import io.github.verigate.VerigateClient
import io.github.verigate.VerigateException
import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.VerificationResult
import io.github.verigate.v1.VerificationState
import java.io.Closeable
import java.io.IOException
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.launch

/** What your backend answers to POST /verifications. */
class Begun(val id: String, val hostedUrl: String, val clientToken: String)

/** Your backend, with your user's session. */
fun interface YourBackend {
    /** The verification that is under way or was the last; with [again] a new try after one that failed. */
    suspend fun begin(again: Boolean): Begun
}

/** What the screen says and offers. What the user may do, your backend decides. */
data class Screen(
    val words: String,
    /** The page to go on with, while it waits for the person. */
    val hostedUrl: String = "",
    val canTryAgain: Boolean = false,
    /** Said below, when the line needs patience. */
    val hint: String = "",
)

/**
 * One user's verification in an Android app: what a ViewModel holds. The example of
 * docs/integrate/android.md.
 *
 *     open ──► your backend ──► the page's address ──► the browser
 *     a link opens the app ──► goOn ──► your backend ──► watch ──► screen
 *
 * [scope] is the ViewModel's: when it ends, so does the watch.
 */
class VerifyModel(
    private val gateway: String,
    private val backend: YourBackend,
    private val scope: CoroutineScope,
) : Closeable {
    private val shown = MutableStateFlow(Screen("We have to verify you."))
    private var client: VerigateClient? = null
    private var watching: Job? = null

    /** What to show. */
    val screen: StateFlow<Screen> = shown

    /** Begins, and returns the page to open; null when there is nothing to open. */
    suspend fun open(again: Boolean = false): String? {
        val begun = try {
            backend.begin(again)
        } catch (_: IOException) {
            shown.value = Screen("We cannot reach our server. Please try again in a moment.")
            return null
        }
        follow(begun)
        return begun.hostedUrl.ifEmpty { null }
    }

    /** The person is back, perhaps in an app that was not running: goes on with what the backend knows. */
    fun goOn() {
        scope.launch { open() }
    }

    /** The app is behind others: the system cuts its connections. */
    fun toBackground() {
        client?.pause()
    }

    /** The app is in front again. */
    fun toForeground() {
        client?.resume()
    }

    private fun follow(begun: Begun) {
        close()
        val watcher = VerigateClient(gateway, begun.clientToken)
        client = watcher
        watching = scope.launch {
            try {
                watcher.watch(begun.id, onLine = ::hint).collect { shown.value = screenOf(it, begun) }
            } catch (failed: VerigateException) {
                shown.value = Screen("We cannot follow this any more. Please open the app again.")
            }
        }
    }

    private fun hint(line: Line) {
        val poor = line is Line.Waiting && line.retryIn > 2.seconds
        shown.value = shown.value.copy(hint = if (poor) "The connection is poor; we keep trying." else "")
    }

    override fun close() {
        watching?.cancel()
        client?.close()
    }
}

/** What to say to a person. */
fun screenOf(update: StatusUpdate, begun: Begun): Screen = when (update.result) {
    VerificationResult.VERIFICATION_RESULT_PASS -> Screen("You are verified.")
    VerificationResult.VERIFICATION_RESULT_FAIL -> Screen(
        if (update.state == VerificationState.VERIFICATION_STATE_DECLINED) "We could not verify you." else "This verification is over.",
        canTryAgain = true,
    )
    else -> when (update.state) {
        VerificationState.VERIFICATION_STATE_PENDING -> Screen("Waiting for you.", hostedUrl = begun.hostedUrl)
        VerificationState.VERIFICATION_STATE_IN_REVIEW -> Screen("A person looks at it. That may take hours; you can close the app.")
        // Also for a state that a newer gateway may know.
        else -> Screen("Confirming…")
    }
}
