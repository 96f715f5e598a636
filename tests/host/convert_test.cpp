// pumice convert as its users meet it. What needs no device.
#include <algorithm>
#include <iterator>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

std::size_t count(const fs::path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

void check_fails(const Finished& finished, int status, const std::string& part) {
    INFO(finished.err);
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(finished.err.find(part) != std::string::npos);
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
}

}  // namespace

TEST_CASE("convert writes a model, tells what it wrote, and replaces nothing unasked") {
    TemporaryFolder folder;
    const std::string tiny = tiny_checkpoint().string(), out = (folder.path() / "out.gguf").string();
    const Finished first = run_pumice({"convert", tiny, "-o", out, "--type", "q8_0", "--json"});
    CHECK(first.status == 0);
    const auto report = nlohmann::json::parse(first.out);
    CHECK(report["file"] == out);
    CHECK(report["format"] == "gguf");
    CHECK(report["bytes"] == fs::file_size(out));
    CHECK(report["dtypes"]["Q8_0"]["tensors"] > 10);
    check_fails(run_pumice({"convert", tiny, "-o", out, "-q"}), 4,
                "exists; choose another name, or --force replaces it");
    CHECK(run_pumice({"convert", tiny, "-o", out, "--type", "fp32", "--force", "-q"}).out == out + "\n");
    CHECK(run_pumice({"models", "inspect", out}).out.find(" F32 tensors") != std::string::npos);
    CHECK(count(folder.path()) == 1);
}

TEST_CASE("adapters go into models and out of them, and nothing is replaced unasked") {
    TemporaryFolder folder;
    const auto out = [&](const char* name) { return (folder.path() / name).string(); };
    const std::string tiny = tiny_checkpoint().string();
    const std::string lora = (fs::path(PUMICE_TEST_DATA) / "goldens/lora/lora.safetensors").string();
    const Finished baked = run_pumice({"models", "bake-lora", "-m", tiny, "--lora", lora + ":0.5", "-o", out("a.safetensors")});
    INFO(baked.err);
    CHECK(baked.status == 0);
    CHECK(baked.err.find("tensors changed") != std::string::npos);
    check_fails(run_pumice({"models", "bake-lora", "-m", tiny, "--lora", lora, "-o", out("a.safetensors"), "-q"}), 4,
                "exists; choose another name, or --force replaces it");
    const Finished again = run_pumice({"models", "extract-lora", out("a.safetensors"), tiny, "--rank", "4", "-o",
                                       out("lora.safetensors"), "--json"});
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(nlohmann::json::parse(again.out)["captured"] > 0.99);
    CHECK(run_pumice({"models", "inspect", out("lora.safetensors")}).out.find("LoRA") != std::string::npos);
    check_fails(run_pumice({"models", "bake-lora", "-m", tiny, "-o", out("b.ckpt")}), 2, "at least one --lora");
    check_fails(run_pumice({"models", "bake-lora", "-m", tiny, "--lora", "x:y", "-o", out("b.ckpt")}), 2, "y is not a weight");
    check_fails(run_pumice({"models", "bake-lora", "-m", tiny, "--lora", out("none"), "-o", out("b.ckpt")}), 3, "none");
    check_fails(run_pumice({"models", "extract-lora", tiny, "-o", out("b.ckpt")}), 2, "needs two models");
    check_fails(run_pumice({"models", "extract-lora", tiny, tiny, "--rank", "0", "-o", out("b.ckpt")}), 2, "from 1 to 4096");
    check_fails(run_pumice({"models", "extract-lora", tiny, tiny, "-o", out("b.gguf")}), 2, "written as .safetensors or .ckpt");
    check_fails(run_pumice({"models", "extract-lora", tiny, tiny, "-o", out("b.ckpt")}), 6, "nothing to extract");
    CHECK(count(folder.path()) == 2);
}

TEST_CASE("convert says in one line what it cannot do, and leaves nothing") {
    TemporaryFolder folder;
    const std::string tiny = tiny_checkpoint().string(), in = (folder.path() / "x").string();
    const auto out = [&](const char* name) { return (folder.path() / name).string(); };
    check_fails(run_pumice({"convert", tiny}), 2, "convert needs the name of what it writes");
    check_fails(run_pumice({"convert", "-o", in}), 2, "convert needs a model");
    check_fails(run_pumice({"convert", tiny, "-o", in, "--type", "fp17"}), 2, "\"fp17\" is not one of fp32, fp16,");
    check_fails(run_pumice({"convert", tiny, "-o", out("a.ckpt"), "--type", "q4_0"}), 2, "only GGUF has it");
    check_fails(run_pumice({"convert", tiny, "-o", out("a.gguf"), "--type", "fp8_e4m3"}), 2, "GGUF does not have it");
    check_fails(run_pumice({"convert", tiny, "-o", in, "--format", "zip"}), 2, "\"zip\" is not one of safetensors");
    check_fails(run_pumice({"convert", tiny, "-o", out("none/a.ckpt")}), 3, "there is no folder");
    check_fails(run_pumice({"convert", tiny, "-o", out("a.ckpt"), "--ema"}), 3, "no averaged weights (EMA)");
    write_file(folder.path() / "broken.safetensors", "no model at all");
    check_fails(run_pumice({"convert", out("broken.safetensors"), "-o", out("a.ckpt")}), 5, "not a safetensors file");
    fs::remove(folder.path() / "broken.safetensors");
    for (const char* name : {"a.safetensors", "a.ckpt", "a.gguf", "a"}) {
        const Finished full = run({.arguments = {"convert", tiny, "-o", out(name)}, .file_size_limit = 100'000});
        check_fails(full, 4, "files may not be that large here");
    }
    CHECK(fs::is_empty(folder.path()));
}
