// upscale/: networks of the upscalers' plugin against BasicSR, from and to pictures of floats; the tiny autoencoder.
#include <array>
#include <cstring>

#include "models/taesd.hpp"
#include "network.hpp"
#include "ops/ops.hpp"
#include "plugins/plugin_pictures.hpp"
#include "suite.hpp"

namespace pumice::goldens {
namespace {

/// {1, 3, h, w} as a picture.
Result<plugins::Picture> picture_of(const Npy<float>& nchw) {
    const auto h = static_cast<std::uint32_t>(nchw.shape[2]), w = static_cast<std::uint32_t>(nchw.shape[3]);
    PUMICE_ASSIGN(auto picture, plugins::Picture::create(PUMICE_PICTURE_RGB32F, w, h));
    std::vector<float> pixels(nchw.data.size());
    for (std::size_t c = 0, plane = std::size_t(h) * w; c < 3; ++c)
        for (std::size_t i = 0; i < plane; ++i) pixels[3 * i + c] = nchw.data[c * plane + i];
    std::memcpy(picture.pixels(), pixels.data(), picture.bytes());
    return picture;
}

std::vector<float> nchw_of(const plugins::Picture& picture) {
    const std::size_t plane = std::size_t(picture.width()) * picture.height();
    std::vector<float> pixels(3 * plane), nchw(3 * plane);
    std::memcpy(pixels.data(), picture.pixels(), picture.bytes());
    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < plane; ++i) nchw[c * plane + i] = pixels[3 * i + c];
    return nchw;
}

Status run_case(Suite& suite, const std::string& upscaler, const std::string& name, const std::string& out_file) {
    PUMICE_ASSIGN(const auto image, suite.npy("upscale/img.npy"));
    PUMICE_ASSIGN(const auto expected, suite.npy(out_file));
    PUMICE_ASSIGN(auto in, picture_of(image));
    PUMICE_ASSIGN(const auto registry, suite.plugins());
    plugins::PictureServices services;
    PUMICE_ASSIGN(services.device.device, suite.device());
    PUMICE_ASSIGN(services.device.kernels, suite.kernels());
    services.device.precision = suite.options().precision;
    PUMICE_ASSIGN(const auto method, registry->make_method(plugins::kUpscaler, upscaler, {}));
    const std::string file = suite.path(name + ".safetensors").string();
    PUMICE_ASSIGN(const double scale, plugins::inspect_upscaler(method, services, file));
    const double wanted = double(expected.shape[2]) / double(image.shape[2]);
    suite.exact(name + " factor", scale == wanted);
    const auto width = static_cast<std::uint32_t>(expected.shape[3]),
               height = static_cast<std::uint32_t>(expected.shape[2]);
    PUMICE_ASSIGN(auto out, plugins::Picture::create(PUMICE_PICTURE_RGB32F, width, height));
    PUMICE_TRY(plugins::run_upscaler(method, services, in, out, file));
    suite.compare_network(name, nchw_of(out), expected.data);
    return {};
}

/// A half of the tiny autoencoder: "enc" from an image, "dec" from a latent.
Status run_taesd(Suite& suite, bool decoder, const std::string& name, const std::string& in, const std::string& out) {
    PUMICE_ASSIGN(const auto input, suite.npy(in));
    PUMICE_ASSIGN(const auto expected, suite.npy(out));
    PUMICE_ASSIGN(const auto device, suite.device());
    PUMICE_ASSIGN(const auto kernels, suite.kernels());
    PUMICE_ASSIGN(const WeightFile file, WeightFile::open(suite.path(name + ".safetensors")));
    const auto half = decoder ? find_taesd_decoder(file) : find_taesd_encoder(file);
    if (!half) return Error{Code::bad_format, name + " is not recognized"};
    suite.exact(name + " is one half", !(decoder ? find_taesd_encoder(file) : find_taesd_decoder(file)));
    WeightSet weights(device, kernels, file, half->prefix);
    Network network(device, kernels, suite.options().precision);
    Graph& g = network.graph();
    std::vector<float> values = nhwc(input);
    if (decoder) taesd_clamp(values);
    const TensorId x = ops::cast(g, network.input(nhwc_shape(input), values), g.activation());
    const TensorId y = decoder ? taesd_decode(g, weights, *half, x) : taesd_encode(g, weights, *half, x);
    if (const Error* error = g.error()) return *error;
    PUMICE_TRY(weights.flush());
    PUMICE_TRY(network.run(std::array{y}));
    PUMICE_ASSIGN(const auto made, network.read(y));
    suite.compare_network(name, nchw(made, g.shape(y), decoder ? 3 : 4), expected.data);
    return {};
}

}  // namespace

void upscale_cases(Suite& suite) {
    struct Case {
        const char *upscaler, *model, *out;
    };
    constexpr Case kCases[] = {{"esrgan", "rrdb_x2", "rrdb_x2_out"},
                               {"esrgan", "rrdb_x4", "rrdb_x4_out"},
                               {"esrgan", "rrdb_x4_oldkeys", "rrdb_x4_out"},
                               {"compact", "srvgg_x4", "srvgg_x4_out"}};
    for (const bool decoder : {false, true}) {
        const std::string name = std::string("upscale/taesd_") + (decoder ? "decoder" : "encoder");
        const std::string in = std::string("upscale/taesd_") + (decoder ? "z" : "img");
        const std::string out = std::string("upscale/taesd_") + (decoder ? "dec_out" : "enc_out");
        suite.helper(in), suite.helper(out);
        if (suite.exists(name + ".safetensors") && suite.wanted(name))
            suite.run(name, [&] { return run_taesd(suite, decoder, name, in + ".npy", out + ".npy"); });
    }
    suite.helper("upscale/img");
    for (const Case& c : kCases) {
        const std::string name = std::string("upscale/") + c.model, out = std::string("upscale/") + c.out;
        suite.helper(out);
        if (suite.exists(name + ".safetensors") && suite.wanted(name))
            suite.run(name, [&] { return run_case(suite, c.upscaler, name, out + ".npy"); });
    }
}

}  // namespace pumice::goldens
