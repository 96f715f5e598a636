// `pumice plugins list`, enable, disable and verify as users meet them.
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

/// A user with folders for plugins.
struct User {
    TemporaryFolder folder;
    fs::path first() const { return folder.path() / "first"; }
    fs::path second() const { return folder.path() / "second"; }
    fs::path configured() const { return folder.path() / "configured"; }
    fs::path own() const { return folder.path() / "data" / "pumice" / "plugins"; }
    User() {
        for (const fs::path& each : {first(), second(), configured(), own(), folder.path() / "config" / "pumice"})
            fs::create_directories(each);
        std::ofstream(folder.path() / "config" / "pumice" / "config.toml")
            << "[paths]\nplugins = \"" << configured().string() << "\"\n";
    }
    /// One of the bad plugins, under its own name or another.
    static void put(const fs::path& to, const std::string& fault, const std::string& name = "") {
        fs::copy_file(fs::path(PUMICE_BAD_PLUGINS) / (fault + ".so"), to / ((name.empty() ? fault : name) + ".so"),
                      fs::copy_options::overwrite_existing);
    }
    Finished run(std::vector<std::string> arguments) const {
        const auto at = [&](const char* name) { return (folder.path() / name).string(); };
        return pumice::test::run({.arguments = std::move(arguments),
                                  .environment = {{"XDG_DATA_HOME", at("data")},
                                                  {"XDG_STATE_HOME", at("state")},
                                                  {"XDG_CONFIG_HOME", at("config")},
                                                  {"XDG_CACHE_HOME", at("cache")},
                                                  {"PUMICE_PLUGIN_PATH", first().string() + ":" + second().string()}},
                                  .folder = folder.path()});
    }
    Json list(std::vector<std::string> more = {}) const {
        std::vector<std::string> arguments = {"plugins", "list", "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Finished listed = run(arguments);
        INFO(listed.err);
        REQUIRE(listed.status == 0);
        return Json::parse(listed.out);
    }
};

/// Of the plugin whose file this is.
Json plugin_of(const Json& list, const fs::path& file) {
    for (const Json& plugin : list["plugins"])
        if (plugin["file"] == file.string()) return plugin;
    FAIL("not listed: " << file);
    return {};
}

bool has_sampler(const Json& list, const std::string& name) {
    return std::any_of(list["samplers"].begin(), list["samplers"].end(), [&](const Json& each) { return each == name; });
}

/// One space where a table has several.
std::string squeezed(const std::string& table) {
    std::string text;
    for (const char c : table)
        if (c != ' ' || text.empty() || text.back() != ' ') text += c;
    return text;
}

/// The words of the line that begins with this one.
std::string line_of(const std::string& table, const std::string& start) {
    const std::string text = squeezed(table);
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
        if (text.compare(at, start.size() + 1, start + " ") == 0) return text.substr(at, text.find('\n', at) - at);
        if (text.find('\n', at) == std::string::npos) break;
    }
    return "";
}

}  // namespace

TEST_CASE("plugins list shows each plugin with its place and status, and why one is not used") {
    User user;
    User::put(user.first(), "none");
    User::put(user.own(), "other_abi");
    User::put(user.own(), "crash_in_init");
    const Finished listed = user.run({"plugins", "list"});
    CHECK(listed.status == 0);
    CHECK(listed.err.empty());
    INFO(listed.out);
    CHECK(listed.out.rfind("id ", 0) == 0);
    CHECK(line_of(listed.out, "pumice.samplers").find("built-in on") != std::string::npos);
    CHECK(line_of(listed.out, "test.none-00").find("PUMICE_PLUGIN_PATH on") != std::string::npos);
    CHECK(line_of(listed.out, "other_abi").find("user") != std::string::npos);
    CHECK(line_of(listed.out, "other_abi").find("broken") != std::string::npos);
    CHECK(line_of(listed.out, "other_abi").find("it was built for plugin ABI 99.7, this is 1.") != std::string::npos);
    CHECK(line_of(listed.out, "crash_in_init").find("it crashed when it was tried out (Segmentation fault)") !=
          std::string::npos);
    CHECK(line_of(listed.out, "euler").find("s_churn=0 (0 to 100)") != std::string::npos);

    const std::string params = squeezed(user.run({"plugins", "list", "--params"}).out);
    INFO(params);
    CHECK(params.find("\nsampler test_none: sampler.choice test.none-00 two (one, two) does nothing\n") !=
          std::string::npos);
    CHECK(params.find("\nschedule karras: schedule.rho pumice.samplers 7 (1 to 20) ") != std::string::npos);

    const Json safe = user.list({"--safe-mode"});
    for (const Json& plugin : safe["plugins"]) CHECK(plugin["place"] == "built-in");
    CHECK_FALSE(has_sampler(safe, "test_none"));
    CHECK(has_sampler(safe, "euler"));
}

TEST_CASE("of plugins of one id the folder that is named first counts") {
    User user;
    const std::vector<fs::path> order = {user.first(), user.second(), user.configured(), user.own()};
    for (const fs::path& folder : order) User::put(folder, "none");
    for (std::size_t gone = 0; gone < order.size(); ++gone) {
        const Json list = user.list();
        CHECK(plugin_of(list, order[gone] / "none.so")["status"] == "on");
        for (std::size_t later = gone + 1; later < order.size(); ++later) {
            const Json hidden = plugin_of(list, order[later] / "none.so");
            CHECK(hidden["status"] == "hidden");
            CHECK(hidden["reason"] == (order[gone] / "none.so").string() + " has the same id and comes first");
        }
        fs::remove(order[gone] / "none.so");
    }
}

TEST_CASE("plugins are disabled and enabled from the command line") {
    User user;
    User::put(user.own(), "none");
    const fs::path file = user.own() / "none.so";
    CHECK(user.run({"plugins", "disable", "test.none-00"}).status == 0);
    CHECK(plugin_of(user.list(), file)["status"] == "off");
    const Finished refused = user.run({"generate", "-p", "a boat", "--sampler", "test_none"});
    CHECK(refused.status == 2);
    CHECK(refused.err.find("--sampler: test_none is not one of euler, ") != std::string::npos);
    CHECK(user.run({"plugins", "enable", "test.none-00"}).status == 0);
    CHECK(plugin_of(user.list(), file)["status"] == "on");
    CHECK(user.run({"plugins", "enable", "test.non-00"}).status == 3);
    CHECK(user.run({"plugins", "disable", "pumice.samplers"}).status == 2);
    CHECK(user.run({"plugins", "disable"}).status == 2);
}

TEST_CASE("a plugin whose file changed is tried out again") {
    User user;
    const fs::path file = user.own() / "one.so";
    User::put(user.own(), "none", "one");
    CHECK(plugin_of(user.list(), file)["status"] == "on");
    User::put(user.own(), "fail_in_init", "one");
    const Json broken = plugin_of(user.list(), file);
    CHECK(broken["status"] == "broken");
    CHECK(broken["reason"] == "its init failed: it gave status 6 and no reason");
    User::put(user.own(), "none", "one");
    CHECK(plugin_of(user.list(), file)["status"] == "on");
    // One that would crash now is not run again while it has not changed; --probe asks for it.
    CHECK(plugin_of(user.list({"--probe"}), file)["status"] == "on");
}

TEST_CASE("plugins verify says what passed and what failed, and its exit status whether all did") {
    User user;
    User::put(user.own(), "none");
    User::put(user.folder.path(), "overshoot");
    const Finished sound = user.run({"plugins", "verify", "test.none-00"});
    INFO(sound.out << sound.err);
    CHECK(sound.status == 0);
    CHECK(sound.err.empty());
    CHECK(sound.out.find("\nok      sampler test_none: ends at once when it is cancelled\n") != std::string::npos);
    CHECK(sound.out.find(" checks, 0 failed\n") != std::string::npos);
    CHECK(sound.out.find("FAILED") == std::string::npos);

    const Finished failed = user.run({"plugins", "verify", "overshoot.so"});
    CHECK(failed.status == 38);
    CHECK(failed.out.find("\nFAILED  sampler test_overshoot: comes nearer to the answer with more steps: it ends ") !=
          std::string::npos);
    CHECK(failed.err.find("checks of overshoot.so failed\n") != std::string::npos);
    CHECK(std::count(failed.err.begin(), failed.err.end(), '\n') == 1);

    const Finished json = user.run({"plugins", "verify", "overshoot.so", "--json"});
    CHECK(json.status == 38);
    const Json report = Json::parse(json.out);
    CHECK(report["failed"].get<int>() >= 1);
    CHECK(report["plugins"][0]["id"] == "test.overshoot-00");
    CHECK(report["checks"].size() > 20);

    CHECK(user.run({"plugins", "verify", "no.such"}).err == "pumice: there is no file, folder or plugin no.such\n");
    CHECK(user.run({"plugins", "verify", "no.such"}).status == 3);
    CHECK(user.run({"plugins", "verify"}).status == 2);
    CHECK(user.run({"plugins", "verify", "overshoot.so", "--seconds", "0"}).status == 2);
    CHECK(user.run({"plugins", "verify", "--help"}).out.find("Exit status 38") != std::string::npos);
    std::ofstream(user.folder.path() / "text.pumice") << "no package";
    CHECK(user.run({"plugins", "verify", "text.pumice"}).status == 5);
}
