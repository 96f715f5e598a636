// The zip around a package: names and sizes checked before anything is believed. What the files mean is not known here.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "plugins/package_outcome.hpp"

namespace pumice::host {

using Bytes = std::vector<std::uint8_t>;
/// By name, as check_path allows it.
using PackageFiles = std::map<std::string, Bytes>;

/// Of a package. Everything is held in memory: plugins are programs, shaders and texts; weights are fetched apart.
struct ZipLimits {
    std::size_t package = std::size_t(256) << 20;   ///< bytes of the zip
    std::size_t unpacked = std::size_t(512) << 20;  ///< bytes of all files
    std::size_t files = 4096;                       ///< folders count too
    std::size_t ratio = 200;  ///< unpacked to packed. Deflate reaches 1032 on zeros; programs and texts stay below 20
    std::size_t ratio_from = std::size_t(1) << 20;  ///< bytes unpacked, below which the ratio does no harm
};

/// The files in `zip`; `name` begins each message. Folders are left out. Refused: names that check_path refuses, two
/// names that are one (fold_case) or of which one is the other's folder, links and devices, encrypted entries,
/// compression other than deflate, and more than the limits above. PUMICE_BAD_FORMAT for what is no zip or damaged.
Packaged<PackageFiles> read_zip(std::span<const std::uint8_t> zip, const std::string& name, const ZipLimits& = {});

/// The same bytes for the same files, whatever the time and its zone. In the given order. PUMICE_INTERNAL.
Expected<Bytes> write_zip(const std::vector<std::pair<std::string, std::span<const std::uint8_t>>>& files);

}  // namespace pumice::host
