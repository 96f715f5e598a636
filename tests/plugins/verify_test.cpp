// `pumice plugins verify`: what it says of sound plugins, and of each fault.
#include <algorithm>

#include "catch.hpp"
#include "plugins/verify.hpp"

using namespace pumice;
using plugins::Checked;
using plugins::Verification;
namespace fs = std::filesystem;

namespace {

/// Without a device: with one, verify_device_test.cpp does it.
Verification verify(const fs::path& file, double seconds) {
    std::size_t heard = 0;
    const plugins::VerifyOptions options{.seconds = seconds, .device = "none", .files = {}};
    auto verification = plugins::verify(PUMICE_VERIFY, file, options, [&](const Checked&) { ++heard; });
    REQUIRE(verification);
    CHECK(heard == verification->checks.size());
    return *std::move(verification);
}

fs::path bad(const std::string& fault) {
    return fs::path(PUMICE_BAD_PLUGINS) / (fault + ".so");
}

/// "CHECK: why" of those that failed.
std::vector<std::string> failures(const Verification& verification) {
    std::vector<std::string> lines;
    for (const Checked& check : verification.checks)
        if (!check.why.empty()) lines.push_back(check.name + ": " + check.why);
    CHECK(lines.size() == verification.failed());
    return lines;
}

struct Expected {
    const char* fault;
    const char* check;  ///< of the plugin "test_FAULT"; the part after the name
    const char* why;    ///< a part of the reason
};

}  // namespace

TEST_CASE("a sound plugin passes, and so do all that come with Pumice") {
    const Verification none = verify(bad("none"), 60);
    CHECK(failures(none).empty());
    CHECK(none.checks.size() > 20);
    REQUIRE(none.plugins.size() == 1);
    CHECK(none.plugins[0].id == "test.none-00");
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(PUMICE_BUILTIN_PLUGINS)) {
        if (entry.path().extension() != ".so") continue;
        INFO(entry.path());
        ++files;
        const Verification verification = verify(entry.path(), 120);
        CHECK(failures(verification) == std::vector<std::string>{});
        CHECK_FALSE(verification.plugins.empty());
        // What could not be run is told, with what it lacks.
        const bool samples = entry.path().filename() == "samplers.so" || entry.path().filename() == "guidance.so";
        CHECK((verification.not_run() == 0) == samples);
        for (const Checked& check : verification.checks)
            if (!check.not_run.empty())
                CHECK((check.not_run == "no Vulkan device is to be used" ||
                       check.name.find("pose") != std::string::npos));
    }
    CHECK(files > 0);
}

TEST_CASE("each fault is found, and named") {
    // A tampered library would pass none of this; each of these keeps all rules but one.
    const Expected all[] = {
        {"no_entry", "library: loads", "it exports no pumice_plugin_entry"},
        {"null_entry", "library: loads", "its entry lacks a function"},
        {"other_abi", "library: loads", "plugin ABI 99.7"},
        {"crash_in_init", "library: loads", "it crashed (Segmentation fault)"},
        {"exit_in_init", "library: loads", "it ended the program (exit status 0)"},
        {"hang_in_init", "library: loads", "it took more than 5 s"},
        {"bad_id", "library: plugins, extensions", "a plugin's id is none"},
        {"null_run", "library: plugins, extensions", "lacks a function"},
        {"clash", "library: exports the entry alone", "it exports 2 more: "},
        {"crash_in_deinit", "library: init and deinit, eight times", "it crashed (Segmentation fault)"},
        {"print", "library: prints nothing", "it printed \"hello "},
        {"handle_signals", "library: after deinit", "it handles signal 12"},
        {"leak_memory", "create and destroy leave nothing behind", ""},
        {"crash_in_step", "ends at the picture", "it crashed (Segmentation fault)"},
        {"abort_in_step", "ends at the picture", "it crashed (Aborted)"},
        {"throw_in_step", "ends at the picture", "it threw an exception: no more"},
        {"fail_in_step", "ends at the picture", "the second step is too much"},
        {"wrong_handle", "ends at the picture", "there is no tensor 77"},
        {"hang_in_step", "ends at the picture", "it took more than 5 s"},
        {"leak", "ends at the picture", "it left 1 tensors behind"},
        {"overshoot", "comes nearer to the answer", "away from the answer"},
        {"remember", "gives the same from the same", "end differently"},
        {"no_progress", "tells of its steps", "it never tells pumice.progress/1 of a step"},
        {"swallow", "ends at once when it is cancelled", "step gave status 13, and it gave 0"},
        {"swallow", "hands on an error of each call", "gave status 11, and it"},
        {"write_past", "levels that fall, for any number", "wrote past the end of its output"},
        {"rise", "levels that fall, for any number", "must be positive and fall"},
    };
    std::string fault;
    std::vector<std::string> lines;
    for (const Expected& expected : all) {
        if (fault != expected.fault) lines = failures(verify(bad(expected.fault), 5));
        fault = expected.fault;
        std::string shown;
        for (const std::string& line : lines) shown += line + "\n";
        INFO(fault << ", " << expected.check << ":\n" << shown);
        CHECK(std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
            return line.find(expected.check) != std::string::npos && line.find(expected.why) != std::string::npos;
        }));
    }
    CHECK_FALSE(plugins::verify("/no/such/program", bad("none"), {}, {}));
    CHECK(plugins::verify(PUMICE_VERIFY, bad("none"), {.seconds = 5, .device = "none", .files = {"esrgan"}}, {})
              .error()
              .message == "esrgan names no file: NAME=FILE");
}
