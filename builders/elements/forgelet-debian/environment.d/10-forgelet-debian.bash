export DISTRO_NAME=debian
export DIB_BLOCK_DEVICE=mbr
# The bootloader element would install grub through dib's package tools; the plan has installed it already.
export DIB_SKIP_GRUB_PACKAGE_INSTALL=True
export DIB_INIT_SYSTEM=systemd
