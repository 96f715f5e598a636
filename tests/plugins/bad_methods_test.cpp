// Upscalers and methods of guidance with a fault, and what each does to the host. Control networks are in
// control_device_test.cpp: they need a graph.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "plugins/plugin_pictures.hpp"
#include "plugins/registry_fixture.hpp"

using namespace pumice;
using namespace pumice::test;
using plugins::Picture;
namespace fs = std::filesystem;

namespace {

/// A folder with these plugins, and a registry's options over it.
class Folder {
public:
    explicit Folder(const std::vector<std::string>& faults) {
        for (const std::string& fault : faults)
            fs::copy_file(fs::path(PUMICE_BAD_PLUGINS) / (fault + ".so"), folder_.path() / (fault + ".so"));
    }
    plugins::RegistryOptions options() const {
        plugins::RegistryOptions options = builtin_options();
        options.places = {{"user", folder_.path()}};
        options.state_folder = state_.path();
        return options;
    }

private:
    TemporaryFolder folder_, state_;
};

/// Enlarges a small picture, without a device.
Status upscale(plugins::Registry& registry, const std::string& fault, std::vector<std::byte>* pixels = nullptr,
               std::function<Status(std::uint32_t, std::uint32_t)> step = {}) {
    PUMICE_ASSIGN(const auto method, registry.make_method(plugins::kUpscaler, "test_" + fault, {}));
    PUMICE_ASSIGN(Picture in, Picture::create(PUMICE_PICTURE_RGB8, 5, 3));
    PUMICE_ASSIGN(Picture out, Picture::create(PUMICE_PICTURE_RGB8, 10, 6));
    std::fill_n(in.pixels(), in.bytes(), std::byte{9});
    plugins::PictureServices services;
    services.step = std::move(step);
    services.marker_folder = registry.marker_folder();
    const Status status = plugins::run_upscaler(method, services, in, out, "");
    if (pixels) pixels->assign(out.pixels(), out.pixels() + out.bytes());
    return status;
}

/// One answer of a method over latents of ones and twos.
Status guide(plugins::Registry& registry, const std::string& fault, std::vector<float>* denoised = nullptr) {
    PUMICE_ASSIGN(const auto guidance, registry.make_guidance("test_" + fault, {}, {}));
    CpuTensorMath math(4, [](std::span<float>) { return Status{}; });
    std::vector<Latent> latents;
    for (int i = 0; i < 4; ++i) {
        PUMICE_ASSIGN(Latent latent, math.create_latent());
        std::fill(math.data(latent).begin(), math.data(latent).end(), static_cast<float>(i));
        latents.push_back(std::move(latent));
    }
    const Status status = guidance->run({.math = math,
                                         .x = latents[0],
                                         .cond = latents[1],
                                         .uncond = latents[2],
                                         .perturbed = nullptr,
                                         .denoised = latents[3],
                                         .sigma = 1,
                                         .scale = 5});
    if (denoised) denoised->assign(math.data(latents[3]).begin(), math.data(latents[3]).end());
    return status;
}

}  // namespace

TEST_CASE("an upscaler that fails ends its picture with its name, and the engine goes on") {
    Folder folder({"methods_none", "upscaler_throws", "upscaler_fails", "upscaler_swallows", "upscaler_writes_past",
                   "upscaler_lies", "upscaler_keeps"});
    const auto registry = make_registry(folder.options());
    const auto message = [&](const std::string& fault) { return upscale(*registry, fault).error().message; };
    CHECK(message("upscaler_throws") ==
          "plugin test.upscaler_throws: upscaler test_upscaler_throws: it threw an exception: no more");
    CHECK(message("upscaler_fails") == "plugin test.upscaler_fails: upscaler test_upscaler_fails: it is too much");
    CHECK(upscale(*registry, "upscaler_fails").error().code == Code::unsupported);
    // A hundred bytes behind its pixels, where the host keeps some that nobody has business with.
    CHECK(message("upscaler_writes_past") ==
          "plugin test.upscaler_writes_past: upscaler test_upscaler_writes_past wrote outside of its picture");
    // What the host refused cannot be kept from it.
    CHECK(upscale(*registry, "upscaler_swallows", nullptr,
                  [](std::uint32_t, std::uint32_t) -> Status {
                      return Error{Code::cancelled, "cancelled"};
                  })
              .error()
              .code == Code::cancelled);
    const auto lying = registry->make_method(plugins::kUpscaler, "test_upscaler_lies", {});
    REQUIRE(lying);
    CHECK(plugins::inspect_upscaler(*lying, {}, "a.safetensors").error().message ==
          "plugin test.upscaler_lies: upscaler test_upscaler_lies says that a.safetensors has a factor of 1000");
    // Pictures that it keeps go with its instance.
    CHECK(upscale(*registry, "upscaler_keeps"));
    std::vector<std::byte> pixels;
    CHECK(upscale(*registry, "methods_none", &pixels));
    CHECK(pixels == std::vector<std::byte>(10 * 6 * 3, std::byte{9}));
}

TEST_CASE("a method of guidance that fails ends its picture with its name, and the engine goes on") {
    Folder folder({"methods_none", "guidance_throws", "guidance_fails"});
    const auto registry = make_registry(folder.options());
    CHECK(guide(*registry, "guidance_throws").error().message ==
          "plugin test.guidance_throws: guidance test_guidance_throws: it threw an exception: no more");
    CHECK(guide(*registry, "guidance_fails").error().message ==
          "plugin test.guidance_fails: guidance test_guidance_fails: it is too much");
    std::vector<float> denoised;
    CHECK(guide(*registry, "methods_none", &denoised));
    CHECK(denoised == std::vector<float>(4, 2 + 5 * (1 - 2)));
}

TEST_CASE("after a crash of an upscaler or a method of guidance the next start names it and leaves it out") {
    for (const std::string fault : {"upscaler_crashes", "guidance_crashes"}) {
        INFO(fault);
        Folder folder({fault, "methods_none"});
        make_registry(folder.options());  // the verdicts, so that the child has little to do
        const pid_t child = ::fork();
        if (child == 0) {
            std::signal(SIGSEGV, SIG_DFL);
            const auto registry = plugins::Registry::create(folder.options());
            (void)(fault == "guidance_crashes" ? guide(**registry, fault) : upscale(**registry, fault));
            ::_exit(0);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));
        const auto next = make_registry(folder.options());
        CHECK(next->crashed() == std::vector<std::string>{"test." + fault});
        const auto has = [](const std::vector<std::string>& all, const std::string& name) {
            return std::find(all.begin(), all.end(), name) != all.end();
        };
        CHECK_FALSE(has(next->upscaler_names(), "test_" + fault));
        CHECK(has(next->upscaler_names(), "test_methods_none"));
    }
}
