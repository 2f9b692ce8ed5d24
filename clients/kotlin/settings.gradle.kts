rootProject.name = "verigate-client"

dependencyResolutionManagement {
    repositories {
        mavenCentral()
    }
}
