"""From Chalice apps to what CloudFormation deploys: templates, zips and layers, without AWS."""
