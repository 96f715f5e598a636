#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstring>

#include <fmt/format.h>

#include "verify/suite.hpp"

namespace pumice::verify {
namespace {

/// The dynamic section's entries that tell of symbols. The loader has made addresses of what the file has as offsets.
struct Tables {
    const ElfW(Sym)* symbols = nullptr;
    const char* names = nullptr;
    const std::uint32_t* hash = nullptr;      ///< DT_HASH
    const std::uint32_t* gnu_hash = nullptr;  ///< DT_GNU_HASH
};

Tables tables_of(const link_map& map) {
    Tables tables;
    for (const ElfW(Dyn)* entry = map.l_ld; entry->d_tag != DT_NULL; ++entry) {
        const auto at = entry->d_un.d_ptr;
        if (entry->d_tag == DT_SYMTAB) tables.symbols = reinterpret_cast<const ElfW(Sym)*>(at);
        if (entry->d_tag == DT_STRTAB) tables.names = reinterpret_cast<const char*>(at);
        if (entry->d_tag == DT_HASH) tables.hash = reinterpret_cast<const std::uint32_t*>(at);
        if (entry->d_tag == DT_GNU_HASH) tables.gnu_hash = reinterpret_cast<const std::uint32_t*>(at);
    }
    return tables;
}

/// How many symbols there are. The GNU hash table does not say: the last of its chains ends with a set lowest bit.
std::size_t count_of(const Tables& tables) {
    if (tables.hash) return tables.hash[1];
    const std::uint32_t* h = tables.gnu_hash;
    const std::uint32_t buckets = h[0], first = h[1], words = h[2];
    const std::uint32_t* bucket = h + 4 + words * (sizeof(ElfW(Addr)) / sizeof(std::uint32_t));
    const std::uint32_t* chain = bucket + buckets;
    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < buckets; ++i) last = std::max(last, bucket[i]);
    if (last < first) return first;
    while ((chain[last - first] & 1u) == 0) ++last;
    return last + 1;
}

}  // namespace

Result<std::vector<std::string>> exported_symbols(const std::filesystem::path& file) {
    const std::string name = file.string();
    void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_NOLOAD);
    link_map* map = nullptr;
    if (!handle || ::dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
        return Error{Code::internal, fmt::format("the loader knows nothing of {}", name)};
    const Tables tables = tables_of(*map);
    std::vector<std::string> exported;
    if (tables.symbols && tables.names && (tables.hash || tables.gnu_hash)) {
        const std::size_t count = count_of(tables);
        for (std::size_t i = 1; i < count; ++i) {
            const ElfW(Sym)& symbol = tables.symbols[i];
            const auto binding = symbol.st_info >> 4, visibility = symbol.st_other & 3;
            if (symbol.st_shndx == SHN_UNDEF || binding == STB_LOCAL || visibility == STV_HIDDEN ||
                visibility == STV_INTERNAL)
                continue;
            exported.emplace_back(tables.names + symbol.st_name);
        }
    }
    ::dlclose(handle);
    return exported;
}

}  // namespace pumice::verify
