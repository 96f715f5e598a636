#include "models/taesd.hpp"

#include <cmath>
#include <fstream>

#include "catch.hpp"
#include "models/configs.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

const std::string kUpscale = PUMICE_TEST_DATA "/goldens/upscale/";

WeightFile opened(const std::filesystem::path& path) {
    auto file = WeightFile::open(path);
    if (!file) FAIL(file.error().message);
    return *std::move(file);
}

/// A half with its layers numbered from `shift` lower, under a prefix.
void add_half(FileBuilder& to, const char* half, const std::string& prefix, int shift) {
    const WeightFile file = opened(kUpscale + half + ".safetensors");
    for (const StoredTensor& t : file.tensors()) {
        const std::size_t dot = t.name.find('.');
        to.add(prefix + std::to_string(std::stoi(t.name.substr(0, dot)) - shift) + t.name.substr(dot), to_string(t.dtype),
               t.shape, std::string(reinterpret_cast<const char*>(t.data.data()), t.data.size()));
    }
}

}  // namespace

TEST_CASE("the tiny autoencoder is known by its tensors", "[models]") {
    const WeightFile decoder = opened(kUpscale + "taesd_decoder.safetensors");
    const auto found = find_taesd_decoder(decoder);
    REQUIRE(found);
    CHECK((found->prefix.empty() && found->shift == 0 && found->channels == 16 && found->latent_channels == 4));
    CHECK_FALSE(find_taesd_encoder(decoder));
    const WeightFile encoder = opened(kUpscale + "taesd_encoder.safetensors");
    CHECK(find_taesd_encoder(encoder));
    CHECK_FALSE(find_taesd_decoder(encoder));

    // As diffusers saves it, in one file, where the decoder's clamp has no number.
    const TemporaryFolder folder;
    FileBuilder both;
    add_half(both, "taesd_decoder", "decoder.layers.", 1);
    add_half(both, "taesd_encoder", "encoder.layers.", 0);
    std::ofstream(folder / "both.safetensors", std::ios::binary) << both.build();
    const WeightFile file = opened(folder / "both.safetensors");
    const auto of_both = find_taesd_decoder(file);
    REQUIRE(of_both);
    CHECK((of_both->prefix == "decoder.layers." && of_both->shift == 1));
    REQUIRE(find_taesd_encoder(file));
    CHECK(find_taesd_encoder(file)->prefix == "encoder.layers.");

    for (const char* other : {"sd1/sd1_tiny", "upscale/rrdb_x4_oldkeys", "control/controlnet_tiny"}) {
        const WeightFile none = opened(std::string(PUMICE_TEST_DATA "/goldens/") + other + ".safetensors");
        CHECK_FALSE(find_taesd_decoder(none));
        CHECK_FALSE(find_taesd_encoder(none));
    }
}

TEST_CASE("the tiny autoencoder's clamp is three times tanh of a third", "[models]") {
    std::vector<float> values{0.0f, -0.0f, 1e-6f, -1e-6f, 0.5f, -2.75f, 3.0f, 30.0f, -1000.0f};
    const std::vector<float> given = values;
    taesd_clamp(values);
    for (std::size_t i = 0; i < values.size(); ++i)
        CHECK(std::fabs(double(values[i]) - 3 * std::tanh(double(given[i]) / 3)) <= 1e-7 * std::fabs(double(given[i])));
}
