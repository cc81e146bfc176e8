// Finds the other parts of this installation from the place of the running program, so that a
// prefix can be moved, and a build tree be used without installing. Chooses directories that are
// private to the user and, for data, on this machine.
#include "paths.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "net/registry_dir.hpp"

namespace benchfs::tools {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMpioLibrary = "libbenchfs_mpio.so";

fs::path program_dir() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

// The build tree that the program runs from: tools/benchfs, or tools/.libs/benchfs behind libtool's
// wrapper script.
std::optional<fs::path> build_tree() {
  fs::path dir = program_dir();
  if (dir.filename() == ".libs") dir = dir.parent_path();
  std::error_code error;
  if (dir.filename() == "tools" && fs::exists(dir.parent_path() / "config.status", error))
    return dir.parent_path();
  return std::nullopt;
}

bool runnable(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

std::string user_dir_name() {
  return fmt::format("benchfs-{}", ::geteuid());
}

std::string tmp_dir() {
  const std::string dir = environment("TMPDIR");
  return dir.empty() ? "/tmp" : dir;
}

}  // namespace

std::expected<std::string, std::string> find_benchfsd(const std::string& given) {
  if (!given.empty()) {
    if (runnable(given)) return absolute(given);
    return std::unexpected(fmt::format("{} is not a program that can be run", given));
  }
  std::vector<fs::path> places;
  if (const auto tree = build_tree()) places.push_back(*tree / "servers");
  places.push_back(program_dir());
  places.push_back(program_dir().parent_path() / "bin");
  places.emplace_back(BENCHFS_BINDIR);
  const std::string path = environment("PATH");
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    if (end > begin) places.emplace_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const fs::path& place : places)
    if (runnable(place / "benchfsd")) return (place / "benchfsd").string();
  return std::unexpected(
      fmt::format("benchfsd is not in {} and not in PATH", program_dir().string()));
}

std::string library_dir() {
  std::error_code error;
  if (const auto tree = build_tree()) return (*tree / "adio_benchfs" / ".libs").string();
  // The way from bin to lib is that of configure, the place that of the running program.
  const fs::path way = fs::path(BENCHFS_LIBDIR).lexically_relative(BENCHFS_BINDIR);
  for (const fs::path& dir :
       {(program_dir() / way).lexically_normal(), (program_dir() / "../lib").lexically_normal()})
    if (fs::exists(dir / kMpioLibrary, error)) return dir.string();
  return BENCHFS_LIBDIR;
}

std::optional<std::string> find_mpio_library() {
  const fs::path library = fs::path(library_dir()) / kMpioLibrary;
  std::error_code error;
  if (!fs::exists(library, error)) return std::nullopt;
  return library.string();
}

std::string preload_value(const std::string& library) {
  const std::string before = environment("LD_PRELOAD");
  if (before.empty() || before == library) return library;
  if (before.starts_with(library + ":") || before.starts_with(library + " ")) return before;
  return library + ":" + before;
}

std::expected<std::string, std::string> registry_or_default(const std::string& given) {
  if (!given.empty()) return absolute(given);
  auto registry = default_registry();
  if (!registry) return std::unexpected("the default registry " + registry.error());
  return absolute(*registry);
}

std::string data_dir_or_default(const std::string& given, const std::string& registry) {
  if (!given.empty()) return absolute(given);
  const std::string variable = environment("BENCHFS_DATA_DIR");
  if (!variable.empty()) return absolute(variable);
  // Not beside the registry: that may be on a shared file system, or on the small one of
  // XDG_RUNTIME_DIR.
  return fmt::format("{}/{}/data-{}", tmp_dir(), user_dir_name(),
                     to_hex(hash64(registry)).substr(0, 8));
}

std::string scratch_dir() {
  const std::string variable = environment("BENCHFS_DATA_DIR");
  return absolute(variable.empty() ? tmp_dir() : variable);
}

std::expected<void, std::string> make_dir(const std::string& path) {
  fs::path made;
  for (const fs::path& part : fs::path(path)) {
    made /= part;
    const int result = ::mkdir(made.c_str(), 0700);
    const int cause = errno;
    std::error_code error;
    if (result != 0 && !fs::is_directory(made, error))
      return std::unexpected(
          fmt::format("cannot make the directory {}: {}", made.string(), ::strerror(cause)));
    // Whoever can write to our directory in /tmp could put another one in the place of `path`.
    if (part != user_dir_name()) continue;
    const auto trusted = check_private_directory(made.string());
    if (!trusted) return trusted;
  }
  return {};
}

std::expected<void, std::string> make_private_dir(const std::string& path) {
  const auto made = make_dir(path);
  return made ? check_private_directory(path) : made;
}

std::expected<void, std::string> remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return std::unexpected(fmt::format("cannot remove {}: {}", path, error.message()));
  return {};
}

std::string absolute(const std::string& path) {
  std::error_code error;
  std::string text = fs::absolute(path, error).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string server_name(unsigned index) {
  return fmt::format("server-{:04}", index);
}

}  // namespace benchfs::tools
