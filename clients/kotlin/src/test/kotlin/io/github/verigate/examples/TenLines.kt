// The whole job in ten lines: start, send the person to the page, wait for the
// result. It needs VERIGATE_URL and VERIGATE_API_KEY, as in dev.env.
package io.github.verigate.examples

import io.github.verigate.VerigateClient
import kotlinx.coroutines.flow.last
import kotlinx.coroutines.runBlocking

fun main() = runBlocking {
    val verigate = VerigateClient(System.getenv("VERIGATE_URL"), System.getenv("VERIGATE_API_KEY"))
    val started = verigate.start(flow = "kyc", subject = "user-1")
    System.err.println("Open ${started.hostedUrl}")
    println(verigate.watch(started.verification.id).last().result.name.substringAfterLast('_').lowercase())
}
