// The program as its users meet it: exit status, stdout, stderr. What needs no device.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"
#include "weights/checkpoint_builder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

/// Nothing on stdout, one line on stderr.
void check_fails(const Finished& finished, int status, const std::string& message) {
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(finished.err == "pumice: " + message + "\n");
}

}  // namespace

TEST_CASE("version and help go to stdout") {
    const Finished version = run_pumice({"--version"});
    CHECK(version.status == 0);
    CHECK(version.err.empty());
    CHECK(version.out.rfind("pumice 0.", 0) == 0);
    CHECK(version.out.find("\nVulkan headers 1.") != std::string::npos);
    CHECK(version.out.find("\ncompiler ") != std::string::npos);
    CHECK(run_pumice({}).out == run_pumice({"--help"}).out);
    CHECK(run_pumice({"generate", "-h"}).out.find("--clip-skip") != std::string::npos);
}

TEST_CASE("a wrong option ends with status 2") {
    check_fails(run_pumice({"generate", "-p", "x", "--steps", "0"}), 2,
                "--steps: 0 is not a whole number from 1 to 1000");
    check_fails(run_pumice({"paint"}), 2, "pumice takes no command paint; see --help");
}

TEST_CASE("configuration is found, checked and overruled") {
    TemporaryFolder folder;
    fs::create_directories(folder.path() / "config" / "pumice");
    const fs::path file = folder.path() / "config" / "pumice" / "config.toml";
    write_file(file, "[generate]\nstpes = 3\n");
    Run in_folder{
        .arguments = {"generate", "-p", "x"},
        .environment = {{"HOME", folder.path().string()}, {"XDG_CONFIG_HOME", (folder.path() / "config").string()}}};
    check_fails(run(in_folder), 2,
                file.string() + ":2: generate.stpes: there is no such key; did you mean generate.steps?");

    write_file(file, "[generate]\nmodel = \"from-file\"\n");
    check_fails(run(in_folder), 3, "there is no model file from-file");
    in_folder.environment["PUMICE_MODEL"] = "from-environment";
    check_fails(run(in_folder), 3, "there is no model file from-environment");
    in_folder.arguments.insert(in_folder.arguments.end(), {"-m", "from-flag"});
    check_fails(run(in_folder), 3, "there is no model file from-flag");
    in_folder.environment["PUMICE_MODELS"] = folder.path().string();
    check_fails(run(in_folder), 3, "there is no model from-flag, neither here nor in " + folder.path().string());

    const std::string other = (folder.path() / "other.toml").string();
    in_folder.arguments.insert(in_folder.arguments.end(), {"--config", other});
    check_fails(run(in_folder), 3, "there is no configuration file " + other);
    write_file(other, "device = [");
    const Finished broken = run(in_folder);
    CHECK(broken.status == 5);
    CHECK(broken.err.rfind("pumice: " + other + ":1:", 0) == 0);
    in_folder.environment["PUMICE_PRECISION"] = "half";
    write_file(other, "");
    check_fails(run(in_folder), 2, "PUMICE_PRECISION: half is not one of auto, fp16, fp32, exact");
}

TEST_CASE("a picture that could not be written is refused before the work") {
    TemporaryFolder folder;
    const std::string base = folder.path().string();
    const auto generate = [](const std::string& output) {
        return run_pumice({"generate", "-m", tiny_checkpoint().string(), "-p", "x", "-o", output});
    };
    check_fails(
        generate(base + "/none/a.png"), 3,
        "cannot write " + base + "/none/a.png: there is no folder " + base + "/none; create it, or choose another");
    write_file(folder.path() / "file", "x");
    check_fails(generate(base + "/file/a.png"), 4,
                "cannot write " + base + "/file/a.png: " + base + "/file is not a folder; choose another");
    check_fails(generate(base), 4, "cannot write " + base + ": it is a folder; name a file");
    check_fails(generate(base + "/a.jpg"), 2, "-o " + base + "/a.jpg: only PNG is written; let the name end with .png");

    fs::create_directories(folder.path() / "locked");
    fs::permissions(folder.path() / "locked", fs::perms(0555));
    fs::permissions(folder.path(), fs::perms(0755));
    const Finished locked =
        run({.arguments = {"generate", "-p", "x", "-m", tiny_checkpoint().string(), "-o", base + "/locked/a.png"},
             .unprivileged = true});
    check_fails(locked, 4,
                "cannot write " + base + "/locked/a.png: " + base +
                    "/locked does not let files be written (Permission denied); choose another folder");
}

TEST_CASE("without a driver the program says what to install") {
    const auto without = [](std::vector<std::string> arguments) {
        return run({.arguments = std::move(arguments),
                    .environment = {{"VK_DRIVER_FILES", "/no/such.json"}, {"VK_ICD_FILENAMES", "/no/such.json"}}});
    };
    const Finished devices = without({"devices"});
    CHECK(devices.status == 7);
    CHECK(devices.out.empty());
    CHECK(devices.err.find("mesa-vulkan-drivers") != std::string::npos);
    CHECK(std::count(devices.err.begin(), devices.err.end(), '\n') == 1);
    CHECK(without({"generate", "-p", "x", "-q", "-m", tiny_checkpoint().string(), "-o", "/dev/null"}).status == 7);
}

TEST_CASE("models inspect tells what a file holds") {
    const Finished text = run_pumice({"models", "inspect", tiny_checkpoint().string()});
    CHECK(text.status == 0);
    CHECK(text.err.empty());
    CHECK(text.out.find("Stable Diffusion 1.x") != std::string::npos);
    const Finished json = run_pumice({"models", "inspect", "--json", tiny_checkpoint().string()});
    REQUIRE(json.status == 0);
    const auto report = nlohmann::json::parse(json.out);
    CHECK(report["family"] == "Stable Diffusion 1.x");
    CHECK(report["format"] == "safetensors");
    CHECK(report["bytes"] == fs::file_size(tiny_checkpoint()));
    CHECK(report["geometry"]["unet"]["model_channels"] == 32);
    CHECK(report["sha256"].get<std::string>().size() == 64);
    std::uint64_t bytes = 0;
    for (const auto& [name, sum] : report["dtypes"].items()) bytes += sum["bytes"].get<std::uint64_t>();
    CHECK(bytes < fs::file_size(tiny_checkpoint()));
}

TEST_CASE("a checkpoint that would run something ends in one line and a status of its own") {
    TemporaryFolder folder;
    const std::string file = (folder.path() / "evil.ckpt").string();
    write_file(file, legacy_checkpoint(PickleWriter().global("os", "system").text("touch x").raw("\x85R").done(), {}));
    const Finished finished = run({.arguments = {"models", "inspect", file}, .folder = folder.path()});
    CHECK(finished.status == 5);
    CHECK(finished.out.empty());
    CHECK(finished.err == "pumice: " + file +
                              ": imports os.system, which no weights need: nothing of it was run, and the file is not "
                              "used\n");
    CHECK_FALSE(fs::exists(folder.path() / "x"));
}

TEST_CASE("output that cannot be printed is an error") {
    // /dev/full takes nothing.
    const Finished full = run({.arguments = {"--version"}, .out = "/dev/full"});
    CHECK(full.status == 4);
    CHECK(full.err == "pumice: cannot write to standard output; is the disk full?\n");
}
