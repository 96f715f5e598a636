#include "cli/model_folders.hpp"

#include <fstream>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::cli;
using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

/// A small file of weights, with a title.
void put(const fs::path& path, const std::string& title = "") {
    fs::create_directories(path.parent_path());
    std::string header = R"({"__metadata__":{"modelspec.title":")";
    header.append(title).append(R"(","file":")").append(path.filename().string());
    header.append(R"("},"first_stage_model.x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})");
    std::string file(1, static_cast<char>(header.size()));  // less than 256
    file.append(7, '\0').append(header).append("x");
    write_file(path, file);
}

std::vector<ModelEntry> listed(const std::vector<std::string>& roots) {
    return list_models(roots);
}

std::string names(const std::vector<ModelEntry>& entries) {
    std::string all;
    for (const ModelEntry& e : entries)
        all.append(e.kind ? to_string(*e.kind) : "any").append(" ").append(e.name).append("\n");
    return all;
}

}  // namespace

TEST_CASE("folders of the web UI, of ComfyUI and plain ones are understood") {
    TemporaryFolder folder;
    const fs::path web = folder.path() / "web", comfy = folder.path() / "comfy", plain = folder.path() / "plain";
    put(web / "models/Stable-diffusion/anime/one.safetensors");
    put(web / "models/VAE/fix.pt");
    put(web / "models/Lora/style.safetensors");
    put(web / "embeddings/bad.pt");
    put(web / "models/ESRGAN/4x.pth");
    put(web / "scripts/not-a-model.safetensors");
    write_file(web / "models/Stable-diffusion/one.txt", "no weights");
    CHECK(names(listed({web.string()})) == "embedding bad\nupscaler 4x\nLoRA style\nmodel anime/one\nVAE fix\n");
    CHECK(names(listed({(web / "models").string()})) == "upscaler 4x\nLoRA style\nmodel anime/one\nVAE fix\n");

    put(comfy / "models/checkpoints/two.ckpt");
    put(comfy / "models/loras/x/y.safetensors");
    put(comfy / "models/controlnet/canny.safetensors");
    fs::create_directories(comfy / "models/diffusers/three/unet");
    write_file(comfy / "models/diffusers/three/model_index.json", "{}");
    put(comfy / "models/diffusers/three/unet/diffusion_pytorch_model.safetensors");
    CHECK(names(listed({comfy.string()})) == "model two\ncontrol network canny\nmodel three\nLoRA x/y\n");

    put(plain / "b/c.gguf");
    put(plain / "a.safetensors");
    CHECK(names(listed({plain.string(), (folder.path() / "absent").string()})) == "any a\nany b/c\n");
    CHECK(listed({web.string(), comfy.string(), web.string()}).size() == 9);
}

TEST_CASE("models are found by name, hash and title") {
    TemporaryFolder folder;
    const fs::path root = folder.path() / "models";
    put(root / "checkpoints/foo.safetensors", "The Title");
    put(root / "checkpoints/sub/Bar.safetensors");
    put(root / "checkpoints/other/Bar.ckpt");
    put(root / "vae/foo.safetensors");
    const auto entries = listed({root.string()});
    REQUIRE(entries.size() == 4);
    ModelCache cache((folder.path() / "cache").string());
    const auto find = [&](const std::string& name, ModelKind kind = ModelKind::checkpoint) {
        return choose_model(name, kind, entries, cache, "FOLDERS");
    };
    const auto finds = [&](const std::string& name, const char* expected) {
        const auto found = find(name);
        if (!found) FAIL(found.failure().message);
        CHECK(*found == root / expected);
    };
    finds("foo", "checkpoints/foo.safetensors");
    finds("foo.safetensors", "checkpoints/foo.safetensors");
    finds("FOO", "checkpoints/foo.safetensors");
    finds("sub/Bar", "checkpoints/sub/Bar.safetensors");
    finds("Bar.ckpt", "checkpoints/other/Bar.ckpt");
    finds("the title", "checkpoints/foo.safetensors");
    CHECK(*find("foo", ModelKind::vae) == root / "vae/foo.safetensors");

    const auto ambiguous = find("bar");
    REQUIRE_FALSE(ambiguous);
    CHECK(ambiguous.failure().status == PUMICE_INVALID_ARGUMENT);
    const std::string &message = ambiguous.failure().message, ckpt = (root / "checkpoints/other/Bar.ckpt").string();
    CHECK(message.starts_with("the name bar is that of 2 models: "));
    CHECK(message.find(ckpt) != std::string::npos);
    CHECK(message.ends_with("sub/Bar.safetensors; name the file"));
    const auto unknown = find("fooo");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.failure().status == PUMICE_NOT_FOUND);
    CHECK(unknown.failure().message == "there is no model fooo, neither here nor in FOLDERS; did you mean foo?");

    const auto digest = file_sha256((root / "checkpoints/foo.safetensors").string());
    REQUIRE(digest);
    finds(digest->substr(0, 10), "checkpoints/foo.safetensors");
    CHECK_FALSE(find(digest->substr(0, 7)));

    // What was found out is kept, and forgotten when the file changes.
    cache.save();
    ModelCache again((folder.path() / "cache").string());
    CHECK(again.facts(entries[0], false)->sha256 == *digest);
    ModelEntry changed = entries[0];
    ++changed.changed;
    CHECK(again.facts(changed, false)->sha256.empty());
    write_file(folder.path() / "cache/models.json", "{\"files\": {\"x\": [], ");
    CHECK(ModelCache((folder.path() / "cache").string()).facts(entries[0], true)->sha256 == *digest);
}
