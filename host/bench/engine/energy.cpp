#include "bench/engine/energy.hpp"

#include <algorithm>
#include <fstream>

namespace pumice::bench {
namespace fs = std::filesystem;
namespace {

std::optional<std::uint64_t> number_in(const fs::path& file) {
    std::ifstream in(file);
    std::uint64_t value = 0;
    if (!(in >> value)) return std::nullopt;
    return value;
}

std::string line_in(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

std::vector<fs::path> entries(const fs::path& folder) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator i(folder, error); !error && i != fs::directory_iterator(); i.increment(error))
        found.push_back(i->path());
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace

EnergyMeter::EnergyMeter(const fs::path& sys) {
    bool hidden = false;
    for (const fs::path& zone : entries(sys / "class/powercap")) {
        const std::string name = line_in(zone / "name");
        // The packages alone: their cores are a part of them.
        if (name.rfind("package", 0) != 0) continue;
        hidden = true;
        add(zone / "energy_uj", zone / "max_energy_range_uj", name);
    }
    for (const fs::path& monitor : entries(sys / "class/hwmon"))
        for (const fs::path& file : entries(monitor)) {
            const std::string name = file.filename().string();
            if (name.rfind("energy", 0) == 0 && name.size() > 6 && name.substr(name.size() - 6) == "_input")
                add(file, {}, line_in(monitor / "name"));
        }
    if (!counters_.empty()) return;
    reason_ = hidden ? "the kernel shows its energy counters to root alone"
                     : "this platform has no energy counter (powercap, hwmon)";
}

void EnergyMeter::add(const fs::path& file, const fs::path& range, const std::string& name) {
    if (!number_in(file)) return;
    counters_.push_back({file, range.empty() ? 0 : number_in(range).value_or(0)});
    source_ += (source_.empty() ? "" : ", ") + name;
}

EnergyMeter::Reading EnergyMeter::read() const {
    Reading reading;
    for (const Counter& counter : counters_) reading.microjoules.push_back(number_in(counter.file).value_or(0));
    return reading;
}

std::optional<double> EnergyMeter::joules_since(const Reading& earlier) const {
    if (counters_.empty() || earlier.microjoules.size() != counters_.size()) return std::nullopt;
    const Reading now = read();
    double sum = 0;
    for (std::size_t i = 0; i < counters_.size(); ++i) {
        std::uint64_t to = now.microjoules[i];
        if (to < earlier.microjoules[i]) to += counters_[i].range;
        sum += static_cast<double>(to - earlier.microjoules[i]) * 1e-6;
    }
    return sum;
}

}  // namespace pumice::bench
