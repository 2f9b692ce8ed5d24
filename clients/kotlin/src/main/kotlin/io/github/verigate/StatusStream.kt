package io.github.verigate

import com.connectrpc.ServerOnlyStreamInterface
import com.connectrpc.asConnectException
import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.WatchStatusRequest
import kotlin.time.Duration
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.channels.ReceiveChannel
import kotlinx.coroutines.selects.onTimeout
import kotlinx.coroutines.selects.select

/** What a wait on a stream came to. */
internal sealed interface StreamEvent {
    class Message(val update: StatusUpdate) : StreamEvent

    /** The stream is over. Without a failure it looks complete, which a truncated one does, too. */
    class Ended(val failure: VerigateException?) : StreamEvent

    /** Nothing came in time. */
    object Silence : StreamEvent

    /** The app went or came, or the client was closed. */
    object Nudge : StreamEvent
}

/** One WatchStatus stream. */
internal class StatusStream(
    val wire: Wire,
    private val stream: ServerOnlyStreamInterface<WatchStatusRequest, StatusUpdate>,
) {
    private val messages = stream.responseChannel()

    /** Sends the request. Whether that worked, the first wait tells: it has the reason. */
    suspend fun ask(request: WatchStatusRequest) {
        stream.sendAndClose(request)
    }

    /** Waits for what comes first; without a limit silence is no event. */
    @OptIn(ExperimentalCoroutinesApi::class)
    suspend fun next(limit: Duration?, nudges: ReceiveChannel<Unit>): StreamEvent = select {
        // Biased: a message that is there already goes before the rest.
        messages.onReceiveCatching { got ->
            val update = got.getOrNull()
            if (update != null) StreamEvent.Message(update) else StreamEvent.Ended(got.exceptionOrNull()?.let(::failure))
        }
        nudges.onReceive { StreamEvent.Nudge }
        if (limit != null) onTimeout(limit) { StreamEvent.Silence }
    }

    /**
     * Cancels the HTTP call. Both are needed: the first does it off this thread,
     * as Android demands, the second frees a reader that waits to hand over.
     */
    suspend fun close() {
        try {
            stream.receiveClose()
        } finally {
            messages.cancel()
        }
    }

    private fun failure(cause: Throwable) = judge(asConnectException(cause))
}
