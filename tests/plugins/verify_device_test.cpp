// `pumice plugins verify` of what needs a device: all that come with Pumice, and plugins with a fault.
#include <algorithm>
#include <fstream>

#include "catch.hpp"
#include "plugins/verify.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::test;
using plugins::Checked;
using plugins::Verification;
namespace fs = std::filesystem;

namespace {

Verification verify(const fs::path& file, std::vector<std::string> files = {}) {
    auto verification =
        plugins::verify(PUMICE_VERIFY, file, {.seconds = 300, .device = "", .files = std::move(files)}, {});
    REQUIRE(verification);
    return *std::move(verification);
}

std::string shown(const Verification& verification) {
    std::string lines;
    for (const Checked& check : verification.checks)
        if (!check.why.empty() || !check.not_run.empty()) lines += check.name + ": " + check.why + check.not_run + "\n";
    return lines;
}

}  // namespace

TEST_CASE("upscalers, preprocessors, filters and control networks that come with Pumice keep to the interface") {
    TemporaryFolder folder;
    const std::string pose = (folder.path() / "pose.json").string();
    std::ofstream(pose) << R"({"people": [{"pose_keypoints_2d": [1, 1, 1, 9, 9, 1, 20, 12, 1]}]})";
    for (const char* name : {"controlnet", "upscalers", "preprocessors"}) {
        const Verification verification =
            verify(fs::path(PUMICE_BUILTIN_PLUGINS) / (std::string(name) + ".so"), {"pose.keypoints=" + pose});
        CHECK(shown(verification) == "");
        CHECK(verification.checks.size() > 25);
    }
}

TEST_CASE("each fault of what needs pictures or a device is found, and named") {
    const fs::path bad = PUMICE_BAD_PLUGINS;
    CHECK(shown(verify(bad / "methods_none.so")) == "");
    struct Expected {
        const char* fault;
        const char* check;  ///< a part of its name
        const char* why;    ///< a part of the reason
    };
    const Expected all[] = {
        {"init_miscompiles", "keeps to its picture", "its plugin's init failed: broken.comp:2: error: 'wrong'"},
        {"upscaler_crashes", "keeps to its picture", "it crashed (Segmentation fault)"},
        {"upscaler_throws", "keeps to its picture", "it threw an exception: no more"},
        {"upscaler_fails", "keeps to its picture", "it is too much"},
        {"upscaler_swallows", "ends at once when it is cancelled", "step gave status 13, and it gave 0"},
        {"upscaler_swallows", "hands on an error of each call", "step gave status 11, and it gave 0"},
        {"upscaler_half", "keeps to its picture", "it does not fill its picture"},
        {"upscaler_writes_past", "keeps to its picture", "it wrote outside of its picture"},
        {"upscaler_writes_input", "keeps to its picture", "it wrote over the picture it was given to read"},
        {"upscaler_opaque", "keeps what is transparent", "has an alpha of 255, where the picture's is 0"},
        {"upscaler_remembers", "gives the same from the same", "different pictures"},
        {"upscaler_keeps", "leaves nothing behind", "each run leaves 1 pictures, programs or files of weights open"},
        {"upscaler_lies", "refuses a file that is not its own", "inspect gives a factor of 1000"},
        {"guidance_crashes", "gives the answer where all answers are one", "it crashed (Segmentation fault)"},
        {"guidance_throws", "gives the answer where all answers are one", "it threw an exception: no more"},
        {"guidance_fails", "gives the answer where all answers are one", "it is too much"},
        {"guidance_writes_x", "gives the answer where all answers are one", "it wrote over x"},
        {"control_crashes", "adds what fits", "it crashed (Segmentation fault)"},
        {"control_throws", "adds what fits", "it threw an exception: no more"},
        {"control_fails", "adds what fits", "it is too much"},
        {"control_swallows", "hands on an error of each call", "concat gave status 11, and it gave 2"},
        {"control_shape", "adds what fits", "it adds 1x8x8x16 to input_blocks.0, which gives 1x8x8x32"},
        {"control_place", "adds what fits", "it adds to \"elsewhere\", which is no block of the UNet"},
        {"control_takes_all", "refuses a file that is not its own",
         "open takes a file of weights that is no network's"},
        {"control_writes", "adds what fits", "it wrote over x"},
    };
    std::string fault;
    Verification found;
    for (const Expected& expected : all) {
        if (fault != expected.fault) found = verify(bad / (std::string(expected.fault) + ".so"));
        fault = expected.fault;
        INFO(fault << ", " << expected.check << ":\n" << shown(found));
        CHECK(std::any_of(found.checks.begin(), found.checks.end(), [&](const Checked& check) {
            return check.name.find(expected.check) != std::string::npos &&
                   check.why.find(expected.why) != std::string::npos;
        }));
    }
}

TEST_CASE("a file that the author names is used, and what is wrong with it is told") {
    const fs::path plugins = PUMICE_BUILTIN_PLUGINS;
    const std::string goldens = std::string(PUMICE_TEST_DATA) + "/goldens/";
    const Verification other =
        verify(plugins / "controlnet.so", {"controlnet=" + goldens + "sd1/sd1_tiny.safetensors"});
    INFO(shown(other));
    CHECK(std::any_of(other.checks.begin(), other.checks.end(), [](const Checked& check) {
        return check.name.find("control controlnet: adds what fits") == 0 &&
               check.why.find("no ControlNet: it has no input_hint_block.0") != std::string::npos;
    }));
}
