// The library for Gradle builds, Android's included: the sources and versions of
// pom.xml, which is what the tests run and what a test compares this with.
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    kotlin("jvm") version "2.2.21"
    `java-library`
}

group = "io.github.verigate"
version = "0.0.0"

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.11.0")
    api("com.squareup.okhttp3:okhttp:5.4.0")
    api("com.google.protobuf:protobuf-javalite:4.33.1")
    api("com.connectrpc:connect-kotlin:0.9.0")
    implementation("com.connectrpc:connect-kotlin-okhttp:0.9.0")
}

// The generated messages are Java, the generated calls Kotlin.
sourceSets["main"].java.srcDir("../../gen/kotlin")
kotlin.sourceSets["main"].kotlin.srcDir("../../gen/kotlin")

// The tests run with Maven: they need the gateway's and the fault proxy's binaries.
kotlin.sourceSets["test"].kotlin.setSrcDirs(emptyList<String>())

kotlin {
    explicitApi()
    compilerOptions {
        jvmTarget.set(JvmTarget.JVM_1_8)
        freeCompilerArgs.add("-Xjdk-release=1.8")
    }
}

tasks.withType<JavaCompile>().configureEach {
    options.release.set(8)
}
