// A plugin that ends the program while a picture is made: the next start names it and leaves it out.
#include <signal.h>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;
using Json = nlohmann::json;

TEST_CASE("a control network that ends the program is named by the next start") {
    TemporaryFolder folder;
    const fs::path plugins = folder.path() / "data" / "pumice" / "plugins";
    fs::create_directories(plugins);
    fs::copy_file(fs::path(PUMICE_BAD_PLUGINS) / "control_crashes.so", plugins / "bad.so");
    const std::string goldens = std::string(PUMICE_TEST_DATA) + "/goldens/";
    const auto command = [&](std::vector<std::string> arguments) {
        return Run{.arguments = std::move(arguments),
                   .environment = {{"XDG_DATA_HOME", (folder.path() / "data").string()},
                                   {"XDG_STATE_HOME", (folder.path() / "state").string()},
                                   {"XDG_CACHE_HOME", (folder.path() / "cache").string()},
                                   {"HOME", folder.path().string()}},
                   .folder = folder.path()};
    };
    const Run generate =
        command({"generate", "-m", tiny_checkpoint().string(), "-p", "a boat", "-W", "64", "-H", "64", "--steps", "2",
                 "-o", "out.png", "--control",
                 "method=test_control_crashes,model=" + goldens +
                     "control/controlnet_tiny.safetensors,image=" + goldens + "e2e/sd1_euler_a_normal.image0.png"});
    const Finished crashed = run(generate);
    INFO(crashed.err);
    CHECK(crashed.status == 128 + SIGSEGV);
    CHECK_FALSE(fs::exists(folder.path() / "out.png"));
    const Finished next = run(generate);
    CHECK(next.status == 3);
    CHECK(next.err.find(
              "pumice: the program ended while the code of plugin test.control_crashes ran; it is left out until "
              "pumice plugins enable test.control_crashes\n") != std::string::npos);
}

TEST_CASE("after a crash in a sampler the next start names it and leaves it out until it is enabled") {
    struct Case {
        const char* fault;
        int signal;
    };
    for (const Case& c : {Case{"crash_in_step", SIGSEGV}, {"abort_in_step", SIGABRT}, {"hang_in_step", SIGKILL}}) {
        INFO(c.fault);
        TemporaryFolder folder;
        const std::string name = std::string("test_") + c.fault, id = std::string("test.") + c.fault + "-00";
        const fs::path plugins = folder.path() / "data" / "pumice" / "plugins";
        fs::create_directories(plugins);
        fs::copy_file(fs::path(PUMICE_BAD_PLUGINS) / (std::string(c.fault) + ".so"), plugins / "bad.so");
        const auto command = [&](std::vector<std::string> arguments) {
            return Run{.arguments = std::move(arguments),
                       .environment = {{"XDG_DATA_HOME", (folder.path() / "data").string()},
                                       {"XDG_STATE_HOME", (folder.path() / "state").string()},
                                       {"XDG_CACHE_HOME", (folder.path() / "cache").string()},
                                       {"HOME", folder.path().string()}},
                       .folder = folder.path()};
        };
        Run generate = command({"generate", "-m", tiny_checkpoint().string(), "-p", "a boat", "-W", "64", "-H", "64",
                                "--steps", "3", "-o", "out.png", "--sampler", name});
        if (c.signal == SIGKILL) {
            generate.interrupt_after = "it hangs now";  // and somebody loses patience
            generate.signal = SIGKILL;
        }
        const Finished crashed = run(generate);
        INFO(crashed.err);
        CHECK(crashed.status == 128 + c.signal);
        CHECK_FALSE(fs::exists(folder.path() / "out.png"));

        const std::string said = "the program ended while the code of plugin " + id +
                                 " ran; it is left out until pumice plugins enable " + id + "\n";
        const Finished next = run(generate);
        CHECK(next.status == 2);
        CHECK(next.err.find("pumice: " + said + "pumice: --sampler: " + name + " is not one of ") != std::string::npos);
        const Finished list = run(command({"plugins", "list", "--json"}));
        CHECK(list.err.empty());  // it is said once
        const Json crashes = Json::parse(list.out);
        for (const Json& plugin : crashes["plugins"])
            if (plugin["id"] == id) CHECK(plugin["status"] == "crashed");
        CHECK(run(command({"plugins", "enable", id})).status == 0);
        const Json enabled = Json::parse(run(command({"plugins", "list", "--json"})).out);
        for (const Json& plugin : enabled["plugins"])
            if (plugin["id"] == id) CHECK(plugin["status"] == "on");
        // The others work all the while.
        generate.interrupt_after.clear();
        generate.arguments.back() = "euler";
        CHECK(run(generate).status == 0);
        CHECK(fs::exists(folder.path() / "out.png"));
    }
}
