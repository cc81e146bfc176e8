// The identity of the host: boot id and pid namespace, so that containers on one node are told apart.
#include "net/host.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>

#include "base/hash.hpp"

namespace benchfs {

std::uint64_t host_id() {
  std::string identity;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> identity;
  std::array<char, 128> link{};
  const auto length = readlink("/proc/self/ns/pid", link.data(), link.size() - 1);
  if (length > 0) identity.append(link.data(), static_cast<std::size_t>(length));
  if (identity.empty()) {
    gethostname(link.data(), link.size() - 1);
    identity = link.data();
  }
  return hash64(identity);
}

bool process_is_gone(std::int64_t pid) {
  if (pid <= 0) return false;
  if (kill(static_cast<pid_t>(pid), 0) != 0) return errno == ESRCH;
  // One that nobody has waited for yet is as dead; "PID (NAME) STATE ...", and NAME may be anything.
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  std::getline(file, stat);
  const std::size_t name_end = stat.rfind(')');
  return name_end != stat.npos && name_end + 2 < stat.size() && stat[name_end + 2] == 'Z';
}

}  // namespace benchfs
