package io.github.verigate

import io.github.verigate.v1.StatusUpdate
import java.util.concurrent.atomic.AtomicInteger
import okhttp3.Interceptor
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Protocol
import okhttp3.Response
import okhttp3.ResponseBody.Companion.toResponseBody
import okio.Buffer

/** Streams that no gateway would give on demand: each is what [body] says, the first of them number 1. */
internal class Script(private val body: (Int) -> Buffer) : Interceptor {
    private val count = AtomicInteger()

    /** How many streams were asked for. */
    val asked: Int get() = count.get()

    override fun intercept(chain: Interceptor.Chain): Response = Response.Builder()
        .request(chain.request())
        .protocol(Protocol.HTTP_1_1)
        .code(200)
        .message("OK")
        .header("Content-Type", TYPE)
        .body(body(count.incrementAndGet()).readByteString().toResponseBody(TYPE.toMediaType()))
        .build()

    /** A client that gets these. */
    fun client(token: TokenSource, seams: Seams = Seams()): VerigateClient {
        val http = OkHttpClient.Builder().addInterceptor(this).build()
        return VerigateClient("http://127.0.0.1:1", token, VerigateOptions(CALM, http), seams)
    }
}

/** Messages of these versions, in the envelopes of the Connect protocol (https://connectrpc.com/docs/protocol#streaming-rpcs). */
internal fun messages(vararg versions: Long): Buffer = Buffer().apply {
    for (version in versions) {
        val message = StatusUpdate.newBuilder().setVersion(version).build().toByteArray()
        writeByte(0).writeInt(message.size).write(message)
    }
}

/** The end of a stream with an error. */
internal fun Buffer.failing(code: String): Buffer = apply {
    val end = """{"error":{"code":"$code","message":"expired"}}""".toByteArray()
    writeByte(END_OF_STREAM).writeInt(end.size).write(end)
}

private const val TYPE = "application/connect+proto"
private const val END_OF_STREAM = 2
