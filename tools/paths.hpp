// Where things are: the parts of this installation (or build tree), and the directories of a user's
// servers.
#pragma once
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>

namespace benchfs::tools {

/// The program `benchfsd`: `given` if it is not empty, else that of the same build tree or
/// installation, else one in PATH. The error says where it was looked for.
std::expected<std::string, std::string> find_benchfsd(const std::string& given);

/// The directory of libbenchfs_mpio.so, of the same build tree or installation.
std::string library_dir();
/// Path of libbenchfs_mpio.so, which programs load before MPI; nothing if this installation has
/// none.
std::optional<std::string> find_mpio_library();
/// What LD_PRELOAD must be: `library` first, then what the environment has already.
std::string preload_value(const std::string& library);

/// The registry to use: `given`, else the one of the environment, else the user's own; absolute.
/// The error says why the place cannot be trusted.
std::expected<std::string, std::string> registry_or_default(const std::string& given);
/// The data directory of `benchfs start`: `given`, else BENCHFS_DATA_DIR, else one on this machine
/// that belongs to the registry; absolute.
std::string data_dir_or_default(const std::string& given, const std::string& registry);
/// Directory for what lives as long as one command: BENCHFS_DATA_DIR, else TMPDIR, else /tmp.
std::string scratch_dir();

/// Makes `path` and its missing parents with mode 0700.
std::expected<void, std::string> make_dir(const std::string& path);
/// The same; and if it is there already, it must belong to this user, and nobody else may write to
/// it.
std::expected<void, std::string> make_private_dir(const std::string& path);
/// Removes `path` and all below it; nothing there is success. The error names what could not go.
std::expected<void, std::string> remove_tree(const std::string& path);

std::string absolute(const std::string& path);
std::string host_name();
/// "server-0007"
std::string server_name(unsigned index);

}  // namespace benchfs::tools
