// The benchmark's judgement, its list of work, and its counters of energy: no device.
#include "bench/engine/quality.hpp"

#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "bench/engine/energy.hpp"
#include "bench/engine/profiles.hpp"
#include "catch.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::bench;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

}  // namespace

TEST_CASE("PSNR is that of its definition") {
    const std::vector<std::uint8_t> a = {0, 100, 200, 255}, b = {0, 110, 200, 255};
    // Mean square 25.
    CHECK(psnr(a, b) == Approx(10 * std::log10(255.0 * 255.0 / 25)));
    CHECK(std::isinf(psnr(a, a)));
    CHECK(psnr(a, std::vector<std::uint8_t>{1}) == 0);
}

TEST_CASE("relative errors are of root mean squares, and what is not finite is never right") {
    const std::vector<float> want = {3, 4}, got = {3, 4.5f};
    CHECK(relative_error(got, want) == Approx(0.5 / 5));
    CHECK(relative_error(want, want) == 0);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isinf(relative_error(std::vector<float>{3, nan}, want)));
    CHECK(std::isinf(relative_error(std::vector<float>{3}, want)));
    CHECK(count_not_finite(std::vector<float>{1, nan, std::numeric_limits<float>::infinity()}) == 2);
}

TEST_CASE("a result is valid only when repeats, numbers, stages and picture all are") {
    Quality good;
    good.limits = limits(Precision::fp16);
    good.stage_errors = {{"unet", 0.002}, {"vae", 0.001}};
    good.psnr = 45;
    CHECK(good.failed().empty());
    const auto fails = [&](auto change) {
        Quality bad = good;
        change(bad);
        return bad.failed().size();
    };
    CHECK(fails([](Quality& q) { q.repeats_equal = false; }) == 1);
    CHECK(fails([](Quality& q) { q.not_finite = 1; }) == 1);
    CHECK(fails([](Quality& q) { q.stage_errors["vae"] = 0.5; }) == 1);
    CHECK(fails([](Quality& q) { q.stage_errors["vae"] = std::numeric_limits<double>::quiet_NaN(); }) == 1);
    CHECK(fails([](Quality& q) { q.psnr = 12; }) == 1);
    // Exact is exact.
    Quality exact;
    exact.limits = limits(Precision::exact);
    exact.psnr = 90;
    CHECK(exact.failed().size() == 1);
    exact.psnr = std::numeric_limits<double>::infinity();
    CHECK(exact.failed().empty());
}

TEST_CASE("profiles have names of their own, and each group begins with the one that starts cold") {
    std::set<std::string> names;
    std::size_t count = 0;
    for (const auto& groups : {random_groups(), {quick_group()}})
        for (const Group& group : groups) {
            REQUIRE_FALSE(group.profiles.empty());
            CHECK(group.profiles.front().cold);
            for (const Profile& profile : group.profiles) {
                names.insert(profile.name);
                ++count;
                CHECK(profile.name.rfind(group.prefix, 0) == 0);
                CHECK(profile.width % 8 == 0);
            }
        }
    CHECK(names.size() == count);
    for (const char* name : {"sd15-512-b1", "sd15-512-b4", "sdxl-1024-b1", "sd15-vae-512", "sd15-vae-1024", "sd15-text",
                             "sdxl-text", "sd15-img2img-512", "sd15-control-512", "starter-128-b1"}) {
        INFO(name);
        CHECK(names.count(name) == 1);
    }
    CHECK(choose(random_groups(), "sdxl").size() == 1);
    CHECK(choose(random_groups(), "absent").empty());
    // A checkpoint of one's own is measured under the names of the made one of its family.
    CHECK(given_group("sdxl", 1024).profiles.front().name == "sdxl-1024-b1");
    CHECK(given_group("sd1", 512).profiles.front().name == "sd15-512-b1");
}

TEST_CASE("energy is counted where the kernel shows it, over a counter that wraps") {
    test::TemporaryFolder sys;
    const EnergyMeter none(sys.path());
    CHECK(none.reason().find("no energy counter") != std::string::npos);
    CHECK_FALSE(none.joules_since(none.read()));

    const fs::path zone = sys.path() / "class/powercap/intel-rapl:0";
    put(zone / "name", "package-0\n");
    CHECK(EnergyMeter(sys.path()).reason().find("root") != std::string::npos);
    put(zone / "energy_uj", "9000000\n");
    put(zone / "max_energy_range_uj", "10000000\n");
    put(sys.path() / "class/powercap/intel-rapl:0:0/name", "core\n");
    put(sys.path() / "class/powercap/intel-rapl:0:0/energy_uj", "1\n");
    put(sys.path() / "class/hwmon/hwmon3/name", "xe\n");
    put(sys.path() / "class/hwmon/hwmon3/energy1_input", "500000\n");
    const EnergyMeter meter(sys.path());
    CHECK(meter.source() == "package-0, xe");
    const auto before = meter.read();
    put(zone / "energy_uj", "500000\n");
    put(sys.path() / "class/hwmon/hwmon3/energy1_input", "2500000\n");
    CHECK(meter.joules_since(before).value() == Approx(1.5 + 2));
}
