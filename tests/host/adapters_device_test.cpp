// Adapters through the program and the C API: merged for a request, gone after it.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "pumice/pumice.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

const fs::path kLoras = fs::path(PUMICE_TEST_DATA) / "goldens" / "lora";

/// A LoRA for the starter model's last projection in the middle: rank 1, all ones, and an alpha.
std::string made_lora(float alpha) {
    constexpr std::size_t kChannels = 192;
    const std::string module = "lora_unet_mid_block_attentions_0_proj_out";
    const std::size_t bytes = kChannels * 4;
    Json header;
    header[module + ".lora_up.weight"] = {{"dtype", "F32"}, {"shape", {kChannels, 1}}, {"data_offsets", {0, bytes}}};
    header[module + ".lora_down.weight"] = {
        {"dtype", "F32"}, {"shape", {1, kChannels}}, {"data_offsets", {bytes, 2 * bytes}}};
    header[module + ".alpha"] = {
        {"dtype", "F32"}, {"shape", Json::array()}, {"data_offsets", {2 * bytes, 2 * bytes + 4}}};
    std::vector<float> values(2 * kChannels, 1.0f);
    values.push_back(alpha);
    const std::string text = header.dump();
    std::string file(8, '\0');
    const std::uint64_t size = text.size();
    std::memcpy(file.data(), &size, 8);
    return file + text + std::string(reinterpret_cast<const char*>(values.data()), values.size() * 4);
}

std::vector<std::uint8_t> pixels(pumice::Model& model, const std::string& prompt, const fs::path& folder) {
    pumice::Request request = model.defaults();
    request.prompt = prompt;
    request.width = request.height = 64;
    request.steps = 2;
    request.seed = 5;
    request.adapter_folders = {folder.string()};
    const auto images = model.generate(request);
    INFO((images ? std::string() : images.failure().message));
    REQUIRE(images);
    const auto rgb = (*images)[0].rgb;
    return {rgb.begin(), rgb.end()};
}

std::vector<std::string> generate(std::vector<std::string> more) {
    std::vector<std::string> all = {
        "generate", "-m", tiny_checkpoint().string(), "-W", "64", "-H", "64", "--steps", "1", "--seed", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

}  // namespace

TEST_CASE("a LoRA changes the starter model's picture, and without it the picture is what it was") {
    TemporaryFolder folder;
    write_file(folder.path() / "made.safetensors", made_lora(0.05f));
    const auto engine = pumice::Engine::create({});
    REQUIRE(engine);
    pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
    auto model = pumice::Model::load(
        *engine, (fs::path(PUMICE_TEST_DATA).parent_path() / "host" / "assets" / "starter.safetensors").string(),
        options);
    REQUIRE(model);
    const auto before = pixels(*model, "a boat", folder.path());
    const auto with = pixels(*model, "a boat<lora:made:1>", folder.path());
    // Said of truth values: a picture's bytes are no message.
    CHECK((with != before));
    CHECK((pixels(*model, "a boat", folder.path()) == before));
    CHECK((pixels(*model, "a boat<lora:made:0>", folder.path()) == before));
    CHECK((pixels(*model, "a boat<lora:made:1>", folder.path()) == with));
}

TEST_CASE("a model with an adapter in it makes the picture that the adapter makes, to the bit") {
    TemporaryFolder folder;
    const auto engine = pumice::Engine::create({});
    REQUIRE(engine);
    const auto load = [&](const fs::path& file) {
        auto model = pumice::Model::load(*engine, file.string(), PUMICE_PRECISION_EXACT);
        if (!model) FAIL(model.failure().message);
        return *std::move(model);
    };
    auto tiny = load(tiny_checkpoint());
    const auto none = pixels(tiny, "a boat", kLoras);
    for (const char* name : {"lora", "dora"}) {
        const fs::path file = folder.path() / fmt::format("{}.safetensors", name);
        pumice::WriteOptions options;
        options.type = "fp32";
        const auto report = pumice::bake(tiny_checkpoint().string(),
                                         {{(kLoras / fmt::format("{}.safetensors", name)).string(), 0.8f, 0.8f}},
                                         file.string(), options);
        if (!report) FAIL(report.failure().message);
        auto baked = load(file);
        const auto expected = pixels(tiny, fmt::format("a boat<lora:{}:0.8>", name), kLoras);
        CHECK((pixels(baked, "a boat", kLoras) == expected));
        CHECK((expected != none));
    }
    // And out again: fp16 and the rank leave the picture nearly as it was.
    const auto report = pumice::extract({(folder.path() / "lora.safetensors").string(), tiny_checkpoint().string(), 8},
                                        (folder.path() / "again.safetensors").string());
    if (!report) FAIL(report.failure().message);
    CHECK(Json::parse(*report)["captured"] > 0.9999);
    const auto expected = pixels(tiny, "a boat<lora:lora:0.8>", kLoras);
    const auto again = pixels(tiny, "a boat<lora:again:1>", folder.path());
    int worst = 0;
    for (std::size_t i = 0; i < again.size(); ++i) worst = std::max(worst, std::abs(int(again[i]) - int(expected[i])));
    CHECK(worst <= 6);
    CHECK((again != none));
}

TEST_CASE("generate takes LoRAs from the prompt and the command line, and writes what it took") {
    TemporaryFolder folder;
    const std::string file = (folder.path() / "out.png").string();
    const Finished made =
        run({.arguments = generate({"-p", "a boat <lora:lora:0.5>", "--lora-folder", kLoras.string(), "--lora",
                                    (kLoras / "dora.safetensors").string() + ":0.3:0.2", "-o", file, "--json"}),
             .environment = {{"PUMICE_VALIDATION", "1"}}});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const Json report = Json::parse(made.out);
    REQUIRE(report["adapters"].size() == 2);
    CHECK(report["adapters"][1]["name"] == "dora");
    CHECK(report["adapters"][1]["unet_weight"].get<float>() == 0.2f);
    const std::string png = read_file(file);
    CHECK(png.find("a boat <lora:lora:0.5> <lora:dora:0.3:0.2>\n") != std::string::npos);
    // As the web UI's addnet hash: of what stands behind the header.
    CHECK(png.find(R"(Lora hashes: "lora: 2bbf38c569f1, dora: )") != std::string::npos);
}

TEST_CASE("an adapter that is not there or does not fit is one line and a status of its own") {
    TemporaryFolder folder;
    write_file(folder.path() / "xl.safetensors", read_file(kLoras / "lora.safetensors").substr(0, 500));
    const auto check = [&](const std::string& prompt, int status, const std::string& message) {
        const Finished f = run({.arguments = generate({"-p", prompt, "--lora-folder", folder.path().string(), "-q"}),
                                .folder = folder.path()});
        CHECK(f.status == status);
        INFO(f.err);
        CHECK(f.err.find("pumice: " + message) == 0);
        CHECK(std::count(f.err.begin(), f.err.end(), '\n') == 1);
        CHECK_FALSE(fs::exists(folder.path() / "pumice-0001.png"));
    };
    check("a<lora:sea:1>", 3, "there is no LoRA 'sea' in " + folder.path().string() + "; there are xl");
    check("a<lora:xl:many>", 2, "the prompt's <lora:xl:many>: a weight must be a number");
    check("a<lora:xl>", 5, (folder.path() / "xl.safetensors").string() + ": ");
}

TEST_CASE("a word that names an embedding stands for it; styles and wildcards make the prompt") {
    TemporaryFolder folder;
    fs::create_directory(folder.path() / "words");
    write_file(folder.path() / "words" / "place.txt", "# places\n\n harbour \n");
    write_file(folder.path() / "styles.csv", "name,prompt,negative_prompt\nNight,\"{prompt}, at night\",sun\n");
    const std::string embeddings = (fs::path(PUMICE_TEST_DATA) / "goldens" / "ti").string();
    const Finished made = run({.arguments = generate({"-p", "a my-emb, {my-emb-xl} in a __place__", "-n", "fog",
                                                      "--style", "Night", "--wildcards", "words", "--embedding-folder",
                                                      embeddings, "--emphasis", "no-norm", "-o", "out.png", "--json"}),
                               .environment = {{"PUMICE_VALIDATION", "1"}},
                               .folder = folder.path()});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const Json report = Json::parse(made.out);
    REQUIRE(report["embeddings"].size() == 1);
    CHECK(report["embeddings"][0]["name"] == "my-emb");
    REQUIRE(report["notes"].size() == 1);
    CHECK(report["notes"][0].get<std::string>().find(
              "an embedding for another kind of model; 'my-emb-xl' in the prompt is a "
              "word") != std::string::npos);
    const std::string png = read_file(folder.path() / "out.png");
    CHECK(png.find("a my-emb, my-emb-xl in a harbour, at night\nNegative prompt: fog, sun\n") != std::string::npos);
    CHECK(png.find("Emphasis: No norm, TI hashes: \"my-emb: ") != std::string::npos);

    const auto fails = [&](std::vector<std::string> arguments, int status, const std::string& message) {
        const Finished f = run({.arguments = generate(std::move(arguments)), .folder = folder.path()});
        CHECK(f.status == status);
        INFO(f.err);
        CHECK(f.err.find("pumice: " + message) != std::string::npos);
    };
    fails({"-p", "a", "--style", "Nigth"}, 3, "there is no style Nigth in styles.csv; did you mean Night?");
    fails({"-p", "__sky__", "--wildcards", "words"}, 3, "there is no wildcard sky.txt in words");
    fails({"-p", "__../styles__", "--wildcards", "words"}, 2, "the wildcard '../styles' leaves its folder");
    fails({"-p", "a", "--emphasis", "strong"}, 2, "--emphasis: strong is not one of original, no-norm");
}
