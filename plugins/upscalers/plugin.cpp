// The plugin that holds Pumice's own upscalers. It uses the SDK and nothing else, as anybody's can.
#include <cmath>
#include <cstring>

#include "networks.hpp"
#include "upscale.hpp"

namespace pumice::upscalers {
namespace {

enum : std::uint32_t { kEsrgan, kCompact, kLanczos, kBicubic, kCount };

const pumice_param kTile = {sizeof(pumice_param),
                            PUMICE_PARAM_INT,
                            "tile",
                            "side of the pieces that are worked on",
                            "pixels",
                            64,
                            4096,
                            64,
                            256,
                            nullptr,
                            nullptr};
const pumice_param kOverlap = {sizeof(pumice_param),
                               PUMICE_PARAM_INT,
                               "overlap",
                               "how much of its neighbours a piece sees",
                               "pixels",
                               0,
                               512,
                               8,
                               24,
                               nullptr,
                               nullptr};
const pumice_param* const kTileParams[] = {&kTile, &kOverlap};

const pumice_upscaler_descriptor kDescriptors[] = {
    {sizeof(pumice_upscaler_descriptor), PUMICE_UPSCALER_NEEDS_MODEL, "esrgan", "ESRGAN",
     "RRDBNet: ESRGAN, Real-ESRGAN and their kin; Wang et al. 2018, 2021", 0, 2, 0, kTileParams},
    {sizeof(pumice_upscaler_descriptor), PUMICE_UPSCALER_NEEDS_MODEL, "compact", "Compact",
     "SRVGGNetCompact: Real-ESRGAN's small models", 0, 2, 0, kTileParams},
    {sizeof(pumice_upscaler_descriptor), 0, "lanczos", "Lanczos", "sharp resampling, no model", 4, 0, 0, nullptr},
    {sizeof(pumice_upscaler_descriptor), 0, "bicubic", "Bicubic", "soft resampling, no model; Keys 1981", 4, 0, 0,
     nullptr},
};

/// An instance's own.
struct Upscalers {
    static const pumice_plugin_descriptor descriptor;
    static const void* get_extension(pumice_plugin*, const char* id);
    pumice_sdk_status init(const pumice_host* from) {
        host = from;
        return PUMICE_SDK_OK;
    }
    const pumice_host* host = nullptr;
};

const pumice_host* host_of(pumice_plugin* plugin) {
    return sdk::SinglePlugin<Upscalers>::of(plugin).host;
}

const pumice_upscaler_descriptor* describe(pumice_plugin*, std::uint32_t index) {
    return index < kCount ? &kDescriptors[index] : nullptr;
}

/// The network in a file, or the job's end.
template <class Network>
Network read_network(sdk::Job& job, const sdk::WeightFile& file, const char* model) {
    Network network;
    std::string why;
    if (job.ok() && !Network::read(file, network, why) && job.ok())
        job.fail(PUMICE_SDK_UNSUPPORTED, std::string(model) + " is " + (why.empty() ? "no network of this kind" : why));
    return network;
}

template <class Network>
pumice_sdk_status inspect_network(sdk::Job& job, const char* model, double* scale) {
    const sdk::WeightFile file(job, model);
    const auto network = read_network<Network>(job, file, model);
    if (job.ok()) *scale = network.scale();
    return job.status();
}

pumice_sdk_status inspect(pumice_plugin* plugin, std::uint32_t index, const char* model, double* scale) {
    return sdk::guarded([&] {
        sdk::Job job(host_of(plugin));
        if (index == kEsrgan) return inspect_network<Rrdb>(job, model, scale);
        if (index == kCompact) return inspect_network<Compact>(job, model, scale);
        return PUMICE_SDK_INVALID_ARGUMENT;
    });
}

std::uint32_t align_of(const Rrdb& network) {
    return network.unshuffle;
}
std::uint32_t align_of(const Compact&) {
    return 1;
}

/// The network's own factor, then a resampling where another size is wanted. Alpha is resampled.
template <class Network>
pumice_sdk_status run_network(sdk::Job& job, const pumice_upscaler_call& call) {
    const sdk::WeightFile file(job, call.model);
    const auto network = read_network<Network>(job, file, call.model);
    const sdk::Picture in(job, call.in);
    sdk::Picture out(job, call.out);
    if (!job.ok()) return job.status();
    const TileOptions tiles = fitting(
        job, {static_cast<std::uint32_t>(call.params[0].number), static_cast<std::uint32_t>(call.params[1].number)},
        network.bytes_per_pixel());
    const std::uint32_t align = align_of(network);
    const auto scaled = [&](std::uint32_t side) {
        return static_cast<std::uint32_t>(std::max(1.0, std::floor(side * network.scale())));
    };
    const std::uint32_t width = scaled(in.width()), height = scaled(in.height());
    const bool direct = width == out.width() && height == out.height();
    Steps steps;
    steps.all = enlarge_steps(in, tiles, align) + (direct ? 0 : resample_steps(out)) +
                (in.has_alpha() ? resample_steps(out) : 0);
    if (direct) {
        enlarge(job, network, file, in, out, tiles, steps, align);
    } else {
        sdk::Picture own(job, in.format(), width, height);
        enlarge(job, network, file, in, own, tiles, steps, align);
        resample(job, own, out, PUMICE_RESAMPLE_LANCZOS, PUMICE_CHANNELS_RGB, steps);
    }
    if (in.has_alpha()) resample(job, in, out, PUMICE_RESAMPLE_LANCZOS, PUMICE_CHANNELS_ALPHA, steps);
    return job.status();
}

pumice_sdk_status run_resampling(sdk::Job& job, const pumice_upscaler_call& call, std::uint32_t method) {
    const sdk::Picture in(job, call.in);
    sdk::Picture out(job, call.out);
    if (!job.ok()) return job.status();
    Steps steps{0, resample_steps(out)};
    resample(job, in, out, method, PUMICE_CHANNELS_RGBA, steps);
    return job.status();
}

pumice_sdk_status run(pumice_plugin* plugin, std::uint32_t index, const pumice_upscaler_call* call) {
    return sdk::guarded([&] {
        sdk::Job job(host_of(plugin));
        switch (index) {
            case kEsrgan:
                return run_network<Rrdb>(job, *call);
            case kCompact:
                return run_network<Compact>(job, *call);
            case kLanczos:
                return run_resampling(job, *call, PUMICE_RESAMPLE_LANCZOS);
            case kBicubic:
                return run_resampling(job, *call, PUMICE_RESAMPLE_BICUBIC);
            default:
                return PUMICE_SDK_INVALID_ARGUMENT;
        }
    });
}

const void* Upscalers::get_extension(pumice_plugin*, const char* id) {
    static const pumice_upscaler_1 upscaler = {sizeof(pumice_upscaler_1), kCount, describe, inspect, run};
    return std::strcmp(id, PUMICE_UPSCALER_1) == 0 ? &upscaler : nullptr;
}

const pumice_plugin_descriptor Upscalers::descriptor = {
    sizeof(pumice_plugin_descriptor),      0, "pumice.upscalers", "Upscalers", PUMICE_PLUGIN_VERSION, "Pumice", "MIT",
    "the upscalers that come with Pumice",
};

}  // namespace
}  // namespace pumice::upscalers

extern "C" {
PUMICE_SDK_EXPORT extern const pumice_plugin_entry_1 pumice_plugin_entry =
    pumice::sdk::SinglePlugin<pumice::upscalers::Upscalers>::entry();
}
