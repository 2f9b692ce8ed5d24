package io.github.verigate

import com.connectrpc.AnyError
import com.connectrpc.CODEC_NAME_PROTO
import com.connectrpc.Code
import com.connectrpc.Codec
import com.connectrpc.ConnectErrorDetail
import com.connectrpc.ConnectException
import com.connectrpc.ErrorDetailParser
import com.connectrpc.SerializationStrategy
import com.google.protobuf.InvalidProtocolBufferException
import com.google.protobuf.MessageLite
import io.github.verigate.v1.GetVerificationRequest
import io.github.verigate.v1.GetVerificationResponse
import io.github.verigate.v1.StartVerificationRequest
import io.github.verigate.v1.StartVerificationResponse
import io.github.verigate.v1.StatusUpdate
import io.github.verigate.v1.WatchStatusRequest
import kotlin.reflect.KClass
import okio.Buffer
import okio.BufferedSource

/**
 * Writes and reads the messages of the three calls that this library makes, in
 * protobuf's binary form (javalite has no JSON). It knows them by name instead of
 * by reflection, so that a shrinker sees what is used.
 */
internal object JavaLite : SerializationStrategy {
    private val messages: Map<KClass<*>, MessageLite> = listOf(
        StartVerificationRequest.getDefaultInstance(),
        StartVerificationResponse.getDefaultInstance(),
        GetVerificationRequest.getDefaultInstance(),
        GetVerificationResponse.getDefaultInstance(),
        WatchStatusRequest.getDefaultInstance(),
        StatusUpdate.getDefaultInstance(),
    ).associateBy { it::class }

    override fun serializationName(): String = CODEC_NAME_PROTO

    override fun <E : Any> codec(clazz: KClass<E>): Codec<E> {
        val message = requireNotNull(messages[clazz]) { "no codec for ${clazz.java.name}: add it to JavaLite" }
        return LiteCodec(message, clazz.java)
    }

    override fun errorDetailParser(): ErrorDetailParser = RawDetails
}

private class LiteCodec<E : Any>(private val message: MessageLite, private val type: Class<E>) : Codec<E> {
    override fun encodingName(): String = CODEC_NAME_PROTO

    override fun serialize(message: E): Buffer = Buffer().write((message as MessageLite).toByteArray())

    // Only Connect's HTTP GET needs it, which is off.
    override fun deterministicSerialize(message: E): Buffer = serialize(message)

    override fun deserialize(source: BufferedSource): E = try {
        type.cast(message.parserForType.parseFrom(source.readByteArray()))!!
    } catch (broken: InvalidProtocolBufferException) {
        throw ConnectException(Code.INTERNAL_ERROR, "the answer is no ${type.simpleName}", broken)
    }
}

/** Leaves error details as they are: [askedPause] reads the one that matters from its bytes. */
private object RawDetails : ErrorDetailParser {
    override fun <E : Any> unpack(any: AnyError, clazz: KClass<E>): E? = null

    // A google.rpc.Status, which only gRPC sends.
    override fun parseDetails(bytes: ByteArray): List<ConnectErrorDetail> = emptyList()
}
