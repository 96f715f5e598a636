// The C API as a careless caller uses it. What needs no device; the rest is in generate_device_test.cpp.
#include <cstring>
#include <string>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "pumice/pumice.hpp"
#include "temporary_folder.hpp"

TEST_CASE("struct sizes are checked") {
    pumice_version version{};
    CHECK(pumice_get_version(&version) == PUMICE_INVALID_ARGUMENT);
    CHECK(pumice_get_version(nullptr) == PUMICE_INVALID_ARGUMENT);
    version = PUMICE_VERSION_INIT;
    REQUIRE(pumice_get_version(&version) == PUMICE_OK);
    CHECK(version.struct_size == sizeof(version));
    CHECK(std::string(version.text) ==
          std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch));
    CHECK(version.vulkan_header >> 22 == 1);
    CHECK(std::strlen(version.compiler) > 4);

    // A caller of a later version, whose struct is larger: fine until it asks for what is not known here.
    struct Larger {
        pumice_engine_options options;
        std::uint64_t more;
    } larger = {PUMICE_ENGINE_OPTIONS_INIT, 1};
    larger.options.struct_size = sizeof(larger);
    pumice_error error = PUMICE_ERROR_INIT;
    pumice_engine* engine = nullptr;
    CHECK(pumice_engine_create(&larger.options, &engine, &error) == PUMICE_UNSUPPORTED);
    CHECK(error.status == PUMICE_UNSUPPORTED);
    CHECK(std::string(error.message) == "options has fields that this version of the library does not know");
    CHECK(engine == nullptr);
}

TEST_CASE("NULL is an error, or nothing") {
    pumice_error error = PUMICE_ERROR_INIT;
    CHECK(pumice_engine_create(nullptr, nullptr, &error) == PUMICE_INVALID_ARGUMENT);
    CHECK(std::string(error.message) == "engine is NULL");
    CHECK(pumice_devices_create(nullptr, nullptr) == PUMICE_INVALID_ARGUMENT);
    pumice_model* model = nullptr;
    CHECK(pumice_model_load(nullptr, "x", nullptr, &model, nullptr) == PUMICE_INVALID_ARGUMENT);
    pumice_images* images = nullptr;
    CHECK(pumice_generate(nullptr, nullptr, &images, nullptr) == PUMICE_INVALID_ARGUMENT);
    CHECK(pumice_images_count(nullptr) == 0);
    CHECK(pumice_devices_count(nullptr) == 0);
    CHECK(std::string(pumice_images_report(nullptr)) == "{}");
    pumice_engine_destroy(nullptr);
    pumice_model_destroy(nullptr);
    pumice_images_destroy(nullptr);
    pumice_devices_destroy(nullptr);
    pumice_cancel_destroy(nullptr);
    pumice_cancel_set(nullptr);
    pumice_string_destroy(nullptr);
}

TEST_CASE("an error too long for its struct is cut between characters") {
    pumice_error error = PUMICE_ERROR_INIT;
    std::string path = "/no/such/folder/";
    while (path.size() < 4000) path += "\xE5\xB1\xB1";
    char* json = nullptr;
    CHECK(pumice_inspect_file(path.c_str(), &json, &error) != PUMICE_OK);
    CHECK(json == nullptr);
    const std::string message = error.message;
    CHECK(message.size() < sizeof(error.message));
    REQUIRE(message.size() > 8);
    CHECK(message.find('\n') == std::string::npos);

    pumice_error none{};  // struct_size 0: left alone
    CHECK(pumice_inspect_file("/no/such/file", &json, &none) == PUMICE_NOT_FOUND);
    CHECK(none.message[0] == 0);
}

TEST_CASE("names of samplers and schedules end") {
    const auto plugins = pumice::Plugins::find();
    REQUIRE(plugins);
    const auto samplers = plugins->samplers(), schedules = plugins->schedules();
    CHECK(samplers.size() >= 19);
    CHECK(schedules.size() >= 10);

    pumice_plugins* handle = nullptr;
    REQUIRE(pumice_plugins_create(nullptr, &handle, nullptr) == PUMICE_OK);
    CHECK(std::string(pumice_plugins_sampler(handle, 0)) == samplers.front());
    CHECK(pumice_plugins_sampler(handle, samplers.size()) == nullptr);
    CHECK(pumice_plugins_schedule(handle, SIZE_MAX) == nullptr);
    CHECK(pumice_plugins_sampler(nullptr, 0) == nullptr);
    pumice_plugins_destroy(handle);
}

TEST_CASE("a file is inspected without a device") {
    const auto json = pumice::inspect_file(pumice::test::tiny_checkpoint().string());
    REQUIRE(json);
    CHECK(json->find("\"family\":\"Stable Diffusion 1.x\"") != std::string::npos);
    CHECK(json->find("\"model_channels\":") != std::string::npos);

    pumice::test::TemporaryFolder folder;
    const std::string file = (folder.path() / "abc").string();
    pumice::test::write_file(file, "abc");
    const auto digest = pumice::file_sha256(file);
    REQUIRE(digest);
    CHECK(*digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
