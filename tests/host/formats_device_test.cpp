// One model in every format gives one picture, byte for byte.
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "diffusers_folder.hpp"
#include "host/checkpoint.hpp"
#include "pumice/pumice.hpp"
#include "temporary_folder.hpp"
#include "weights/checkpoint_builder.hpp"
#include "weights/gguf_builder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

const pumice::Engine& engine() {
    static const auto made = pumice::Engine::create();
    if (!made) FAIL(made.failure().message);
    return *made;
}

std::vector<std::uint8_t> picture(const fs::path& file, const fs::path& vae = {}, const fs::path& text = {}) {
    INFO(file);
    pumice_model_options options = PUMICE_MODEL_OPTIONS_INIT;
    options.precision = PUMICE_PRECISION_EXACT;
    if (!vae.empty()) options.vae = vae.c_str();
    if (!text.empty()) options.text_encoder = text.c_str();
    auto model = pumice::Model::load(engine(), file.string(), options);
    if (!model) FAIL(model.failure().message);
    pumice::Request request = model->defaults();
    request.prompt = "a boat";
    request.width = request.height = 64;
    request.steps = 1;
    request.seed = 3;
    const auto images = model->generate(request);
    if (!images) FAIL(images.failure().message);
    const auto image = (*images)[0];
    return {image.rgb.begin(), image.rgb.end()};
}

std::string as_gguf(const Safetensors& parts) {
    const std::map<std::string, std::uint32_t> types = {{"F16", 1}, {"BF16", 30}, {"F32", 0}, {"I64", 27}};
    GgufBuilder builder;
    builder.entry("tiny_config", 8,
                  GgufBuilder::text(Json::parse(parts.header)["__metadata__"]["tiny_config"].get<std::string>()));
    for_each_tensor(parts.header, parts.data, [&](const std::string& name, const Json& entry, const std::string& data) {
        builder.add(name, types.at(entry["dtype"].get<std::string>()), entry["shape"].get<std::vector<std::uint64_t>>(),
                    data);
    });
    return builder.build();
}

}  // namespace

TEST_CASE("one model in every format gives one picture") {
    TemporaryFolder folder;
    const Safetensors parts(read_file(tiny_checkpoint()));
    const auto expected = picture(tiny_checkpoint());
    REQUIRE(expected.size() == 64 * 64 * 3);

    DiffusersFolder(tiny_checkpoint(), {}).write(folder.path() / "diffusers");
    CHECK(picture(folder.path() / "diffusers") == expected);

    write_file(folder.path() / "model.gguf", as_gguf(parts));
    CHECK(picture(folder.path() / "model.gguf") == expected);

    // A checkpoint has no metadata to tell the golden's numbers of heads; its VAE needs none.
    write_file(folder.path() / "model.ckpt", legacy_checkpoint_of(parts.header, parts.data, "state_dict"));
    const auto refused = pumice::Model::load(engine(), (folder.path() / "model.ckpt").string());
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().status == PUMICE_UNSUPPORTED);
    CHECK(refused.failure().message.find("the text encoder's width 16 is not made of heads of 64") != std::string::npos);
    CHECK(picture(tiny_checkpoint(), folder.path() / "model.ckpt", folder.path() / "diffusers" / "text_encoder") ==
          expected);
}
