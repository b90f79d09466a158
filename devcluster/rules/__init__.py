"""Pure rules: environment, names, patches and their inverse, ports, volumes. No IO."""
